/**
 * Channel-wise mean squared error of CIRKD's second version ("CIRKDv2"): what pulls each channel of
 * the projected student to the same channel of the teacher.
 *
 * N images, D channels, M positions after pooling; R = N * D rows. Official weight 100.
 *
 * loss = mean over R * M of (S - T)^2, both unit rows over positions (channelRows.ts).
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { sumOfSquares } from '../rowSum.js';
import { type ChannelLoss, requireSameRows } from './channelRows.js';

/** @throws RangeError if the shapes differ */
export function channelMse(student_RM: Tensor, teacher_RM: Tensor): ChannelLoss {
  requireSameRows(student_RM, teacher_RM);
  return scope(() => {
    const difference_RM = ops.sub(student_RM, teacher_RM);
    const factor = 1 / student_RM.size;
    return {
      loss: factor * sumOfSquares(difference_RM),
      gradient_RM: ops.mul(difference_RM, scalar(2 * factor)),
    };
  });
}
