/** Joining several values. */
import { add as addOp } from '../ops/elementwise.js';
import { concat as concatOp, slice } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';

/** a + b, of one shape. */
export function add(tape: Tape, a: Var, b: Var): Var {
  if (a.shape.join() !== b.shape.join()) {
    throw new Error(`add: shapes [${a.shape}] and [${b.shape}] differ`);
  }
  return tape.record(addOp(a.value, b.value), [a, b], [], (dy) => [
    a.needsGradient ? dy : null,
    b.needsGradient ? dy : null,
  ]);
}

/** One after the other along `axis`. */
export function concat(tape: Tape, inputs: readonly Var[], axis: number): Var {
  const value = concatOp(
    inputs.map((input) => input.value),
    axis,
  );
  return tape.record(value, inputs, [], (dy) => {
    let offset = 0;
    return inputs.map((input) => {
      const begin = input.shape.map((_, at) => (at === axis ? offset : 0));
      offset += input.shape[axis]!;
      return input.needsGradient ? slice(dy, begin, input.shape) : null;
    });
  });
}
