/** Rectifiers. Their gradients are told from their outputs, which the next layer keeps anyway. */
import { relu as reluOp, relu6 as relu6Op, relu6Grad, reluGrad } from '../ops/elementwise.js';
import type { Tape, Var } from '../tape.js';

/** max(x, 0). */
export function relu(tape: Tape, x: Var): Var {
  const y = reluOp(x.value);
  return tape.record(y, [x], [y], (dy) => [reluGrad(dy, y)]);
}

/** min(max(x, 0), 6). */
export function relu6(tape: Tape, x: Var): Var {
  const y = relu6Op(x.value);
  return tape.record(y, [x], [y], (dy) => [relu6Grad(dy, y)]);
}
