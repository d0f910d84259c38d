/**
 * A trained 1x1 convolution without bias, from the student's channels to the teacher's, as a matrix.
 *
 * N images, H W positions, C student channels, D teacher channels. A model's weights in TensorFlow's
 * layout are [1, 1, C, D]: the same numbers in the same order.
 */
import { ops, scope, type Tensor } from '../../tensor/index.js';
import { asRows } from './maps.js';

/** Throws RangeError unless the weights are [C, D]. */
export function requireConvolution(
  weight_CD: Tensor,
  student_NHWC: Tensor,
  teacher_NHWD: Tensor,
): void {
  const wanted = [student_NHWC.shape[3], teacher_NHWD.shape[3]];
  if (weight_CD.shape.join() !== wanted.join()) {
    throw new RangeError(`1x1 convolution: shape [${weight_CD.shape}] given, wanted [${wanted}]`);
  }
}

/** [N, H, W, C] to [N, H, W, D]. */
export function convolved(x_NHWC: Tensor, weight_CD: Tensor): Tensor {
  const shape = [...x_NHWC.shape.slice(0, 3), weight_CD.shape[1]!];
  return scope(() => ops.reshape(ops.matMul(asRows(x_NHWC), weight_CD), shape));
}

/** Gradients with respect to the input and the weights. */
export function convolvedGrad(dy_NHWD: Tensor, x_NHWC: Tensor, weight_CD: Tensor) {
  return scope(() => {
    const [dy_PD, x_PC] = [asRows(dy_NHWD), asRows(x_NHWC)];
    return {
      gradient_NHWC: ops.reshape(ops.matMul(dy_PD, weight_CD, { transposeB: true }), x_NHWC.shape),
      weightGradient_CD: ops.matMul(x_PC, dy_PD, { transposeA: true }),
    };
  });
}
