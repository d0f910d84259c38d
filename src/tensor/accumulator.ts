/** A sum that grows in place: one buffer, however many parts are added. */
import { attribute, execute, executeAll } from './execute.js';
import { scope, type Tensor } from './tensor.js';

/** TensorFlow's own name for nameless resources: with names of its own each would stay in its caches. */
const NAMELESS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

export class Accumulator {
  readonly #handle: Tensor;

  /** The sum so far is `first`, float32; it stays the caller's. */
  constructor(first: Tensor) {
    if (first.dtype !== 'float32') throw new Error(`first: ${first.dtype} given, wanted float32`);
    this.#handle = execute(
      'VarHandleOp',
      [],
      [
        attribute.type('dtype', 'float32'),
        attribute.shape('shape', first.shape),
        attribute.string('container', ''),
        attribute.string('shared_name', NAMELESS),
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
