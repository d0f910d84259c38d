/**
 * Category-wise similarity of double similarity distillation (DSD): Feng et al., "Double similarity
 * distillation for semantic image segmentation", IEEE Transactions on Image Processing 2021, as the
 * official CIRKD code has it.
 *
 * N images, H W positions, K classes; M = ceil(H/2) * ceil(W/2) positions after average pooling.
 * Official weight 10, temperature 4.
 *
 * After 2x2 average pooling (a cut window is averaged over the positions that it has), each class's
 * map is a distribution P over positions, softmax(map / T), and G = P P' is K x K.
 * loss = mean over N * K * K of (G of the student - G of the teacher)^2.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { cutAveragePool, cutAveragePoolGrad } from '../averagePool.js';
import { sumOfSquares } from '../rowSum.js';
import { imageRows, requireSameShape } from './maps.js';

const WINDOW = 2;

export interface DsdCategoryLoss {
  readonly loss: number;
  /** float32 [N, H, W, K], with respect to the student's logits. */
  readonly gradient_NHWK: Tensor;
}

/** @throws RangeError if the shapes differ */
export function dsdCategory(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  temperature: number,
): DsdCategoryLoss {
  requireSameShape(student_NHWK, teacher_NHWK);
  return scope(() => {
    const pooled_NhwK = cutAveragePool(student_NHWK, WINDOW);
    const target_NhwK = cutAveragePool(teacher_NHWK, WINDOW);
    const [images = 0, , , classes = 0] = pooled_NhwK.shape;
    const factor = 1 / (images * classes ** 2);
    let squares = 0;
    const gradients = Array.from({ length: images }, (_, image) =>
      scope(() => {
        const own_MK = distributions(imageRows(pooled_NhwK, image), temperature);
        const difference_KK = scope(() => {
          const target_MK = distributions(imageRows(target_NhwK, image), temperature);
          return ops.sub(gram(own_MK), gram(target_MK));
        });
        squares += sumOfSquares(difference_KK);
        // The difference is symmetric.
        const dy_MK = ops.matMul(own_MK, difference_KK);
        // Of the softmax: p (dy - sum of p dy), for a class.
        const along_1K = ops.sum(ops.mul(dy_MK, own_MK), [0], true);
        const factored_MK = ops.mul(own_MK, scalar((4 * factor) / temperature));
        return ops.mul(factored_MK, ops.sub(dy_MK, along_1K));
      }),
    );
    const dy_NhwK = ops.reshape(ops.concat(gradients, 0), pooled_NhwK.shape);
    return {
      loss: factor * squares,
      gradient_NHWK: cutAveragePoolGrad(dy_NhwK, student_NHWK.shape, WINDOW),
    };
  });
}

/** Of a map [M, K]: M probabilities for each class. Along the positions as they lie: transposing would cost as much again. */
function distributions(map_MK: Tensor, temperature: number): Tensor {
  return scope(() => {
    const above_MK = ops.sub(map_MK, ops.max(map_MK, [0], true));
    const exp_MK = ops.exp(ops.mul(above_MK, scalar(1 / temperature)));
    return ops.div(exp_MK, ops.sum(exp_MK, [0], true));
  });
}

const gram = (p_MK: Tensor) => ops.matMul(p_MK, p_MK, { transposeA: true });
