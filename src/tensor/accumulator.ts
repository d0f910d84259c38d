/** A sum that is accumulated in place: it takes one buffer, no matter how many parts are added. */
import { attribute, execute, executeAll } from './execute.js';
import { scope, type Tensor } from './tensor.js';
import { destroyVariable, makeVariable } from './variable.js';

export class Accumulator {
  readonly #handle: Tensor;

  /** Starts with a copy of `first`, float32, which the caller keeps. */
  constructor(first: Tensor) {
    if (first.dtype !== 'float32') throw new Error(`first: ${first.dtype} given, wanted float32`);
    this.#handle = makeVariable(first.shape);
    this.#run('AssignVariableOp', first, [attribute.bool('validate_shape', false)]);
  }

  add(part: Tensor): void {
    this.#run('AssignAddVariableOp', part, []);
  }

  /** Returns the sum and disposes of the accumulator. */
  take(): Tensor {
    const sum = scope(() =>
      execute('ReadVariableOp', [this.#handle], [attribute.type('dtype', 'float32')]),
    );
    this.dispose();
    return sum;
  }

  dispose(): void {
    destroyVariable(this.#handle);
  }

  #run(op: string, value: Tensor, more: ReturnType<typeof attribute.bool>[]): void {
    executeAll(op, [this.#handle, value], [attribute.type('dtype', 'float32'), ...more], 0);
  }
}
