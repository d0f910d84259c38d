/**
 * Convolution with its gradients, channels last.
 *
 * N batch, H W positions, C input and K output channels, R S kernel; weights_RSCK.
 */
import {
  biasAdd as biasAddOp,
  biasAddGrad,
  type ConvolutionGeometry,
  conv2d as conv2dOp,
  conv2dFilterGrad,
  conv2dInputGrad,
} from '../ops/convolution.js';
import { matMul } from '../ops/linalg.js';
import { reshape } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';
import { scope } from '../tensor.js';

/** x_NHWC, weights_RSCK -> [N, H', W', K]; any stride and dilation, the same padding all round. */
export function conv2d(tape: Tape, x: Var, weights: Var, geometry: ConvolutionGeometry): Var {
  const [height, width] = weights.shape;
  if (height === 1 && width === 1 && geometry.stride === 1 && geometry.padding === 0) {
    return pointwise(tape, x, weights);
  }
  const value = conv2dOp(x.value, weights.value, geometry);
  const inputShape = x.shape;
  const saved = [
    ...(weights.needsGradient ? [x.value] : []),
    ...(x.needsGradient ? [weights.value] : []),
  ];
  return tape.record(value, [x, weights], saved, (dy) => [
    x.needsGradient ? conv2dInputGrad(inputShape, weights.value, dy, geometry) : null,
    weights.needsGradient ? conv2dFilterGrad(x.value, weights.shape, dy, geometry) : null,
  ]);
}

/** A 1x1 convolution of stride 1 is a matrix product, which costs less at small sizes. */
function pointwise(tape: Tape, x: Var, weights: Var): Var {
  const [, , inputs, outputs] = weights.shape as [number, number, number, number];
  const positions = x.value.size / inputs;
  const matrix = [inputs, outputs];
  const value = scope(() =>
    reshape(matMul(reshape(x.value, [positions, inputs]), reshape(weights.value, matrix)), [
      ...x.shape.slice(0, -1),
      outputs,
    ]),
  );
  const inputShape = x.shape;
  const saved = [
    ...(weights.needsGradient ? [x.value] : []),
    ...(x.needsGradient ? [weights.value] : []),
  ];
  return tape.record(value, [x, weights], saved, (dy) => {
    const rows = reshape(dy, [positions, outputs]);
    const inputGrad = () =>
      reshape(matMul(rows, reshape(weights.value, matrix), { transposeB: true }), inputShape);
    const filterGrad = () =>
      reshape(
        matMul(reshape(x.value, [positions, inputs]), rows, { transposeA: true }),
        weights.shape,
      );
    return [x.needsGradient ? inputGrad() : null, weights.needsGradient ? filterGrad() : null];
  });
}

/** x + bias_K along the last axis. */
export function biasAdd(tape: Tape, x: Var, bias: Var): Var {
  return tape.record(biasAddOp(x.value, bias.value), [x, bias], [], (dy) => [
    x.needsGradient ? dy : null,
    bias.needsGradient ? biasAddGrad(dy) : null,
  ]);
}
