/** A sum that grows in place: one buffer, however many parts are added. */
import { attribute, execute, executeAll } from './execute.js';
import { scope, type Tensor } from './tensor.js';

let made = 0;

export class Accumulator {
  readonly #handle: Tensor;

  /** The sum so far is `first`, float32; its memory is taken over where nobody else has it. */
  constructor(first: Tensor) {
    made += 1;
    this.#handle = execute(
      'VarHandleOp',
      [],
      [
        attribute.type('dtype', 'float32'),
        attribute.shape('shape', first.shape),
        attribute.string('container', ''),
        attribute.string('shared_name', `accumulator-${made}`),
      ],
    ).hold();
    this.#run('AssignVariableOp', first, [attribute.bool('validate_shape', false)]);
  }

  add(part: Tensor): void {
    this.#run('AssignAddVariableOp', part, []);
  }

  /** The sum; the accumulator is of no use afterwards. */
  take(): Tensor {
    const sum = scope(() =>
      execute('ReadVariableOp', [this.#handle], [attribute.type('dtype', 'float32')]),
    );
    this.dispose();
    return sum;
  }

  dispose(): void {
    if (this.#handle.disposed) return;
    executeAll(
      'DestroyResourceOp',
      [this.#handle],
      [attribute.bool('ignore_lookup_error', true)],
      0,
    );
    this.#handle.release();
    this.#handle.dispose();
  }

  #run(op: string, value: Tensor, more: ReturnType<typeof attribute.bool>[]): void {
    executeAll(op, [this.#handle, value], [attribute.type('dtype', 'float32'), ...more], 0);
  }
}
