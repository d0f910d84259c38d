/**
 * Hints (FitNet): Romero et al., "FitNets: hints for thin deep nets", ICLR 2015, as the official
 * CIRKD code has it: a trained 1x1 convolution without bias from the student's channels to the
 * teacher's, and the mean squared error.
 *
 * N images, H W positions, P = N * H * W rows, C student channels, D teacher channels, R rows per
 * tile. Official weight 10.
 *
 * loss = mean over P * D of (student W - teacher)^2.
 */
import { accumulatedSum, ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { sumOfSquares } from '../rowSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import { asRows, requireSamePositions } from './maps.js';
import { requireConvolution } from './pointwiseConvolution.js';

export interface FitnetLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the student's raw feature. */
  readonly gradient_NHWC: Tensor;
  /** float32 [C, D], with respect to the convolution's weights. */
  readonly weightGradient_CD: Tensor;
}

/**
 * @param teacher_NHWD the teacher's raw feature
 * @param weight_CD the trained 1x1 convolution; PyTorch's [D, C, 1, 1] transposed
 * @throws RangeError on shapes that don't fit
 */
export function fitnet(
  student_NHWC: Tensor,
  teacher_NHWD: Tensor,
  weight_CD: Tensor,
  tiling: Tiling,
): FitnetLoss {
  requireSamePositions(student_NHWC, teacher_NHWD);
  requireConvolution(weight_CD, student_NHWC, teacher_NHWD);
  return scope(() => {
    const [student_PC, teacher_PD] = [asRows(student_NHWC), asRows(teacher_NHWD)];
    const [rows = 0, channels = 0] = teacher_PD.shape;
    const factor = 1 / teacher_PD.size;
    const step = tileRowCount(rows, channels, tiling);
    const gradients: Tensor[] = [];
    let squares = 0;
    const weightSum_CD = accumulatedSum(weight_CD.shape, (add) => {
      for (let begin = 0; begin < rows; begin += step) {
        const gradient_RC = scope(() => {
          const student_RC = ops.rows(student_PC, begin, Math.min(step, rows - begin));
          const target_RD = ops.rows(teacher_PD, begin, student_RC.shape[0]!);
          const difference_RD = ops.sub(ops.matMul(student_RC, weight_CD), target_RD);
          squares += sumOfSquares(difference_RD);
          add(ops.matMul(student_RC, difference_RD, { transposeA: true }));
          return ops.matMul(difference_RD, weight_CD, { transposeB: true });
        });
        gradients.push(gradient_RC);
      }
    });
    const twice = scalar(2 * factor);
    const gradient_PC = ops.mul(ops.concat(gradients, 0), twice);
    return {
      loss: factor * squares,
      gradient_NHWC: ops.reshape(gradient_PC, student_NHWC.shape),
      weightGradient_CD: ops.mul(weightSum_CD, twice),
    };
  });
}
