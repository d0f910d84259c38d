/**
 * x times the normal distribution function of x, exactly (with erf), as PyTorch's GELU by default.
 * Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
 */
import { scalar } from '../create.js';
import { execute } from '../execute.js';
import { add, erf, exp, mul, square } from '../ops/elementwise.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

export type GeluKernel = (tape: Tape, x: Var) => Var;

/** One kernel of the addon for each direction (../native/transformer/gelu.cc); CPU only. */
export const nativeGelu: GeluKernel = (tape, x) =>
  tape.record(execute('CirkdGelu', [x.value], []), [x], [x.value], (dy) => [
    execute('CirkdGeluGrad', [dy, x.value], []),
  ]);

/** Composed of TensorFlow's ops; any device. */
export const composedGelu: GeluKernel = (tape, x) => {
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
};

/** (1 + erf(x / sqrt(2))) / 2 */
function normalDistribution(x: Tensor): Tensor {
  return scope(() => mul(add(erf(mul(x, scalar(Math.SQRT1_2))), scalar(1)), scalar(0.5)));
}
