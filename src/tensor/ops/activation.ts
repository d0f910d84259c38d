/** Activations on a tape. The rectifiers' gradients use the outputs, which the next layer saves anyway. */
import { attribute, execute } from '../execute.js';
import type { Tensor } from '../tensor.js';
import { OUTPUT, type Tape, type Var } from '../tape.js';

/** Activations that can follow a batch norm. */
export type Activation = 'none' | 'relu' | 'relu6';

const rectifier =
  (op: string) =>
  (tape: Tape, x: Var): Var => {
    const type = [attribute.type('T', x.value.dtype)];
    const compute = () => execute(op, [x.value], type);
    return tape.record(
      compute(),
      [x],
      [OUTPUT],
      (dy, y) => [execute(`${op}Grad`, [dy, y.value], type)],
      { saved: [x], compute },
    );
  };

/** max(x, 0). */
export const relu = rectifier('Relu');

/** min(max(x, 0), 6). */
export const relu6 = rectifier('Relu6');

/** x where it is positive, otherwise slope * x. */
export function leakyRelu(tape: Tape, x: Var, slope: number): Var {
  const attributes = [attribute.type('T', x.value.dtype), attribute.float('alpha', slope)];
  const y = execute('LeakyRelu', [x.value], attributes);
  return tape.record(y, [x], [x.value], (dy) => [
    execute('LeakyReluGrad', [dy, x.value], attributes),
  ]);
}

/** How leakyRelu of `x` moves when x moves by `along`: its slope at x times that; 0 counts as below. */
export function leakyReluTangent(tape: Tape, x: Var, along: Var, slope: number): Var {
  const attributes = [attribute.type('T', x.value.dtype), attribute.float('alpha', slope)];
  const scaled = (by: Tensor) => execute('LeakyReluGrad', [by, x.value], attributes);
  return tape.record(scaled(along.value), [along], [x.value], (dy) => [scaled(dy)]);
}
