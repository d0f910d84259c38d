/** Operations on a tape that rearrange elements without arithmetic. */
import type { Tape, Var } from '../tape.js';
import { pad, reshape as reshapeOp, slice, transpose as transposeOp } from './shape.js';

/** The same elements with another shape. */
export function reshape(tape: Tape, x: Var, shape: readonly number[]): Var {
  const before = x.shape;
  return tape.record(reshapeOp(x.value, shape), [x], [], (dy) => [reshapeOp(dy, before)]);
}

export function transpose(tape: Tape, x: Var, permutation: readonly number[]): Var {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return tape.record(transposeOp(x.value, permutation), [x], [], (dy) => [
    transposeOp(dy, inverse),
  ]);
}

/** Elements [begin, begin + count) of an axis. */
export function axisRange(tape: Tape, x: Var, axis: number, begin: number, count: number): Var {
  const whole = x.shape[axis]!;
  const starts = x.shape.map((_, other) => (other === axis ? begin : 0));
  const sizes = x.shape.map((size, other) => (other === axis ? count : size));
  return tape.record(slice(x.value, starts, sizes), [x], [], (dy) => [
    pad(
      dy,
      sizes.map((_, other) => (other === axis ? [begin, whole - begin - count] : [0, 0])),
    ),
  ]);
}
