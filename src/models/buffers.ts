/**
 * Updates of buffers (running statistics, batch counts) from a forward pass, staged until the step is known
 * to be good.
 */
import type { Parameter, Tensor } from '../tensor/index.js';

/** How many batches a batch norm has seen in training: PyTorch's num_batches_tracked. */
export class BatchCounter {
  readonly name: string;
  count = 0;

  constructor(name: string) {
    this.name = name;
  }
}

export class StagedBuffers {
  readonly #values = new Map<Parameter, Tensor>();
  readonly #batches = new Map<BatchCounter, number>();

  /** The value after the latest forward pass, owned by this object or the caller's scope: don't dispose of it. */
  latest(buffer: Parameter): Tensor {
    return this.#values.get(buffer) ?? buffer.read();
  }

  stage(buffer: Parameter, value: Tensor): void {
    const before = this.#values.get(buffer);
    this.#values.set(buffer, value.hold());
    if (before !== undefined) free(before);
  }

  countBatch(counter: BatchCounter): void {
    this.#batches.set(counter, (this.#batches.get(counter) ?? 0) + 1);
  }

  /** The values that a commit would write. */
  get values(): ReadonlyMap<Parameter, Tensor> {
    return this.#values;
  }

  /** Writes the staged values and clears them. */
  commit(): void {
    for (const [buffer, value] of this.#values) buffer.assign(value);
    for (const [counter, batches] of this.#batches) counter.count += batches;
    this.discard();
  }

  /** Drops the staged values. */
  discard(): void {
    for (const value of this.#values.values()) free(value);
    this.#values.clear();
    this.#batches.clear();
  }
}

function free(tensor: Tensor): void {
  tensor.release();
  tensor.dispose();
}
