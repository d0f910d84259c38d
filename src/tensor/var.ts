/** Values in a computation that may be differentiated, and how long their tensors live. */
import { scope, type Tensor, type TensorCarrier } from './tensor.js';

/** How a value is computed again for the backward pass, with the same bits. */
export interface Recomputation {
  /** What `compute` uses. */
  readonly saved: readonly (Tensor | Var)[];
  /** Runs in its own scope. */
  readonly compute: () => Tensor;
}

/**
 * A tensor in a computation that may be differentiated. A value that can be computed again is freed after the forward
 * pass, and exists once more from its first use in the backward pass until its own node is done.
 */
export class Var implements TensorCarrier {
  /** Whether a gradient is needed here. Backward functions skip inputs that need none. */
  readonly needsGradient: boolean;
  readonly #again: Recomputation | null;
  #value: Tensor;
  #isHeld = false;

  constructor(value: Tensor, needsGradient: boolean, again: Recomputation | null = null) {
    this.#value = value;
    this.needsGradient = needsGradient;
    this.#again = again;
    for (const each of again?.saved ?? []) keep(each);
  }

  /** In a backward function only what its node has saved. */
  get value(): Tensor {
    return this.#value;
  }

  get shape(): readonly number[] {
    return this.#value.shape;
  }

  carriedTensors(): Iterable<Tensor> {
    return [this.#value];
  }

  /** For tapes: the value will be used once more. A value that can be computed again isn't kept. */
  keep(): void {
    if (this.#again === null) this.#value.hold();
  }

  /** For tapes: one use that keep() announced is over. */
  drop(): void {
    if (this.#again === null) this.#value.free();
  }

  /** For tapes: has the value computed if it is gone. */
  restore(): void {
    if (this.#again === null || this.#isHeld) return;
    const { saved, compute } = this.#again;
    if (this.#value.disposed) {
      for (const each of saved) if (each instanceof Var) each.restore();
      this.#value = scope(compute);
    }
    this.#value.hold();
    this.#isHeld = true;
  }

  /** For tapes: no node will use the value any more. */
  forget(): void {
    if (this.#again === null) return;
    if (this.#isHeld) this.#value.free();
    this.#isHeld = false;
    for (const each of this.#again.saved) drop(each);
  }
}

export function keep(saved: Tensor | Var): void {
  if (saved instanceof Var) saved.keep();
  else saved.hold();
}

export function drop(saved: Tensor | Var): void {
  if (saved instanceof Var) saved.drop();
  else saved.free();
}
