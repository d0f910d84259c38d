/** Activations on a tape. The rectifiers' gradients use the outputs, which the next layer saves anyway. */
import { scalar } from '../create.js';
import { attribute, execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { add, erf, exp, mul, square } from './elementwise.js';

/** Activations that can follow a batch norm. */
export type Activation = 'none' | 'relu' | 'relu6';

const rectifier =
  (op: string) =>
  (tape: Tape, x: Var): Var => {
    const type = [attribute.type('T', x.value.dtype)];
    const y = execute(op, [x.value], type);
    return tape.record(y, [x], [y], (dy) => [execute(`${op}Grad`, [dy, y], type)]);
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

/**
 * x times the normal distribution function of x, exactly (with erf), as PyTorch's GELU by default.
 * Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
 */
export function gelu(tape: Tape, x: Var): Var {
  const y = scope(() => mul(x.value, normalDistribution(x.value)));
  return tape.record(y, [x], [x.value], (dy) => [
    scope(() => {
      const density = scope(() =>
        mul(exp(mul(square(x.value), scalar(-0.5))), scalar(1 / Math.sqrt(2 * Math.PI))),
      );
      const slope = scope(() => add(normalDistribution(x.value), mul(x.value, density)));
      return mul(dy, slope);
    }),
  ]);
}

/** (1 + erf(x / sqrt(2))) / 2 */
function normalDistribution(x: Tensor): Tensor {
  return scope(() => mul(add(erf(mul(x, scalar(Math.SQRT1_2))), scalar(1)), scalar(0.5)));
}
