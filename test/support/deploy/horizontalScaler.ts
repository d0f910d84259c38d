/**
 * What KEDA and the HorizontalPodAutoscaler do with a metric of type AverageValue, for tests only:
 * wanted = ceil(value / target); no change within the tolerance; on the way down the most that was
 * wanted in the stabilisation window.
 */
export interface ScalerPolicy {
  /** Of the metric, for one replica. */
  readonly target: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly stabilisationMs: number;
}

/** Kubernetes' own. */
const TOLERANCE = 0.1;

export class HorizontalScaler {
  readonly #policy: ScalerPolicy;
  #wanted: { readonly atMs: number; readonly replicas: number }[] = [];

  constructor(policy: ScalerPolicy) {
    this.#policy = policy;
  }

  /** How many replicas there should be from now on. No value: as many as there are. */
  decide(value: number | undefined, replicas: number, nowMs: number): number {
    if (value === undefined || !Number.isFinite(value)) return replicas;
    const { stabilisationMs } = this.#policy;
    const proposal = this.#proposal(value, replicas);
    // As Kubernetes begins: what is there was wanted until now.
    if (this.#wanted.length === 0) this.#wanted.push({ atMs: nowMs, replicas });
    this.#wanted.push({ atMs: nowMs, replicas: proposal });
    this.#wanted = this.#wanted.filter(({ atMs }) => atMs >= nowMs - stabilisationMs);
    if (proposal >= replicas) return proposal;
    const most = Math.max(...this.#wanted.map((wanted) => wanted.replicas));
    return Math.min(replicas, most);
  }

  #proposal(value: number, replicas: number): number {
    const { target, minReplicas, maxReplicas } = this.#policy;
    if (Math.abs(value / (target * replicas) - 1) <= TOLERANCE) return replicas;
    return Math.min(maxReplicas, Math.max(minReplicas, Math.ceil(value / target)));
  }
}
