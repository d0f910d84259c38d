/**
 * Attention transfer (AT): Zagoruyko and Komodakis, "Paying more attention to attention: improving
 * the performance of convolutional neural networks via attention transfer", ICLR 2017.
 *
 * N images, H W positions, C student channels, P = H * W. Official weight 10000.
 *
 * With a(F) the attention map of each image (attentionMap.ts),
 * loss = mean over N * P of (a(student) - a(teacher))^2.
 * The teacher's channels don't matter: its energies are enough, and they follow from the norms.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { sumOfSquares } from '../rowSum.js';
import { attentionMap, attentionMapGrad, channelEnergy } from './attentionMap.js';

export interface AttentionTransferLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the student's raw feature. */
  readonly gradient_NHWC: Tensor;
}

/**
 * @param teacherEnergy_NHW from `channelEnergy` or `energyOfNorms`
 * @throws RangeError if batch, height or width differ
 */
export function attentionTransfer(
  student_NHWC: Tensor,
  teacherEnergy_NHW: Tensor,
): AttentionTransferLoss {
  const wanted = student_NHWC.shape.slice(0, 3);
  if (teacherEnergy_NHW.shape.join() !== wanted.join()) {
    throw new RangeError(
      `teacher energies: shape [${teacherEnergy_NHW.shape}] given, wanted [${wanted}]`,
    );
  }
  return scope(() => {
    const map = attentionMap(channelEnergy(student_NHWC));
    const difference_NP = ops.sub(map.embedding_PC, attentionMap(teacherEnergy_NHW).embedding_PC);
    const factor = 1 / difference_NP.size;
    const dy_NP = ops.mul(difference_NP, scalar(2 * factor));
    return {
      loss: factor * sumOfSquares(difference_NP),
      gradient_NHWC: attentionMapGrad(dy_NP, map, student_NHWC),
    };
  });
}
