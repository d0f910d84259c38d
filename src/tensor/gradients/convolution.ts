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
import type { Tape, Var } from '../tape.js';

/** x_NHWC, weights_RSCK -> [N, H', W', K]; any stride and dilation, the same padding all round. */
export function conv2d(tape: Tape, x: Var, weights: Var, geometry: ConvolutionGeometry): Var {
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

/** x + bias_K along the last axis. */
export function biasAdd(tape: Tape, x: Var, bias: Var): Var {
  return tape.record(biasAddOp(x.value, bias.value), [x, bias], [], (dy) => [
    x.needsGradient ? dy : null,
    bias.needsGradient ? biasAddGrad(dy) : null,
  ]);
}
