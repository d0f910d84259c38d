/**
 * The mean gradient over the ranks of a group, in buckets of consecutive parameters. A bucket is sent as soon as all its
 * gradients are there, while the backward pass goes on: the last bucket first, as a backward pass ends with the
 * first parameters.
 *
 * Buckets depend on the parameters alone, and they are sent strictly in this order. So a rank on which a gradient comes
 * later than on others, or not at all, only delays them; and the means are the same bits whenever gradients come.
 */
import { bucketsOf } from '../collectives/buckets.js';
import type { Collective, StartedReduce } from '../collectives/collective.js';
import { type Parameter, scope, type Tensor, zeros } from '../tensor/index.js';

type Group = Pick<Collective, 'startAllReduce'>;

interface Bucket {
  readonly parameters: readonly Parameter[];
  /** null: a parameter without a gradient on this rank; it may have one on another. */
  readonly gradients: Map<Parameter, Tensor | null>;
  started: StartedReduce | null;
}

/** One step's. means() or abandon() has to be called, or it keeps tensors. */
export class GradientExchange {
  readonly #group: Group;
  readonly #parameters: readonly Parameter[];
  readonly #buckets: readonly Bucket[];
  readonly #bucketOf = new Map<Parameter, Bucket>();
  /** Of the buckets that aren't sent, the next one is the last. */
  #unsent: number;

  /** @param parameters all that are trained, in the order of the forward pass; the same on all ranks */
  constructor(group: Group, parameters: readonly Parameter[], bucketBytes?: number) {
    this.#group = group;
    this.#parameters = parameters;
    this.#buckets = bucketsOf(parameters, bucketBytes).map((bucket) => ({
      parameters: bucket,
      gradients: new Map(),
      started: null,
    }));
    for (const bucket of this.#buckets) {
      for (const parameter of bucket.parameters) this.#bucketOf.set(parameter, bucket);
    }
    this.#unsent = this.#buckets.length;
  }

  /**
   * This rank's gradient, which is final; null: it has none. Holds the tensor while it is needed. Throws RankLostError.
   */
  give(parameter: Parameter, gradient: Tensor | null): void {
    const bucket = this.#bucketOf.get(parameter);
    if (bucket === undefined) return;
    if (bucket.gradients.has(parameter)) throw new Error(`${parameter.name}: given twice`);
    bucket.gradients.set(parameter, gradient?.hold() ?? null);
    this.#send();
  }

  /** Waits for all ranks; the means belong to the caller's scope. Parameters that weren't given have no gradient here. */
  means(): Map<Parameter, Tensor> {
    for (const parameter of this.#parameters) {
      if (!this.#bucketOf.get(parameter)!.gradients.has(parameter)) this.give(parameter, null);
    }
    return scope(() => {
      const means = new Map<Parameter, Tensor>();
      // In the order in which they were sent, so that each wait is for one of them.
      for (const bucket of this.#buckets.toReversed()) {
        const reduced = bucket.started!.end();
        bucket.started = null;
        for (const [i, parameter] of bucket.parameters.entries()) means.set(parameter, reduced[i]!);
      }
      return new Map(this.#parameters.map((parameter) => [parameter, means.get(parameter)!]));
    });
  }

  /** Frees what a step that failed has left; does nothing after means(). */
  abandon(): void {
    for (const bucket of this.#buckets) {
      bucket.started?.abandon();
      bucket.started = null;
      free(bucket);
    }
    this.#unsent = 0;
  }

  #send(): void {
    while (this.#unsent > 0) {
      const bucket = this.#buckets[this.#unsent - 1]!;
      if (bucket.gradients.size < bucket.parameters.length) return;
      this.#unsent -= 1;
      scope(() => {
        const own = bucket.parameters.map(
          (parameter) => bucket.gradients.get(parameter) ?? zeros(parameter.shape),
        );
        bucket.started = this.#group.startAllReduce(own, 'mean');
      });
      free(bucket);
    }
  }
}

function free({ gradients }: Bucket): void {
  for (const [parameter, gradient] of gradients) {
    gradient?.free();
    gradients.set(parameter, null);
  }
}
