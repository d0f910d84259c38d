/** The mean gradient of a step's micro-batches; sums are in the order of the micro-batches. */
import { ops, type Parameter, scalar, scope, type Tensor } from '../tensor/index.js';

export class GradientSums {
  readonly #microBatches: number;
  readonly #sums = new Map<Parameter, Tensor>();

  /** @param microBatches of the step */
  constructor(microBatches: number) {
    this.#microBatches = microBatches;
  }

  /** Adds the gradients of a micro-batch and frees both summands. */
  add(parts: ReadonlyMap<Parameter, Tensor>): void {
    for (const [parameter, part] of parts) {
      const before = this.#sums.get(parameter);
      if (before === undefined) {
        this.#sums.set(parameter, part);
      } else {
        this.#sums.set(parameter, ops.add(before, part));
        before.dispose();
        part.dispose();
      }
    }
  }

  /**
   * The mean, with the gradient of the last micro-batch, of a parameter that is then no longer in means().
   * null: there is none, or no mean. The result may be the given tensor.
   */
  meanWith(parameter: Parameter, last: Tensor | null): Tensor | null {
    const before = this.#sums.get(parameter) ?? null;
    this.#sums.delete(parameter);
    const mean = scope(() => {
      const sum = before === null || last === null ? (before ?? last) : ops.add(before, last);
      return sum === null ? null : this.#divided(sum);
    });
    if (before !== mean) before?.dispose();
    return mean;
  }

  /** Frees the sums. */
  means(): Map<Parameter, Tensor> {
    const means = new Map<Parameter, Tensor>();
    for (const [parameter, sum] of this.#sums) {
      const mean = this.#divided(sum);
      if (mean !== sum) sum.dispose();
      means.set(parameter, mean);
    }
    this.#sums.clear();
    return means;
  }

  #divided(sum: Tensor): Tensor {
    if (this.#microBatches === 1) return sum;
    return scope(() => ops.mul(sum, scalar(1 / this.#microBatches)));
  }
}
