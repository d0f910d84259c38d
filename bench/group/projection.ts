/** What a larger group would come to: arithmetic on measured figures, not a measurement. */

export interface ProjectedStep {
  /** Of one rank alone on its share. */
  readonly stepMs: number;
  /** Given to collectives by a rank in a step. */
  readonly bytes: number;
  readonly calls: number;
  /** Of a gather of one float between two ranks. */
  readonly smallMs: number;
}

export interface Machines {
  readonly ranks: number;
  /** Of each rank's link, 10^9 bits per second each way. */
  readonly gigabits: number;
}

/** A ring sends every byte 2 (R - 1) / R times over each link; here as if nothing of it overlapped with the computation. */
export function transferMs({ bytes }: Pick<ProjectedStep, 'bytes'>, machines: Machines): number {
  const { ranks, gigabits } = machines;
  const sent = (bytes * 2 * (ranks - 1)) / ranks;
  return (sent * 8) / (gigabits * 1e6);
}

/** A rank of R handles R - 1 messages in each direction, one of two ranks a single one. */
export function latencyMs({ calls, smallMs }: ProjectedStep, ranks: number): number {
  return calls * smallMs * (ranks - 1);
}

/** Of R times the work of one rank: with the transfer alone, and with the collectives' latency as measured. */
export function efficiency(
  step: ProjectedStep,
  machines: Machines,
): { readonly transferOnly: number; readonly withLatency: number } {
  const transfer = transferMs(step, machines);
  const latency = latencyMs(step, machines.ranks);
  return {
    transferOnly: step.stepMs / (step.stepMs + transfer),
    withLatency: step.stepMs / (step.stepMs + transfer + latency),
  };
}
