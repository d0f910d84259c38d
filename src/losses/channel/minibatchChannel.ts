/**
 * Mini-batch channel-to-channel distillation (Yang et al., CIRKD's second version, "CIRKDv2"): as the
 * mini-batch pixel term, with channels in the place of positions.
 *
 * N images, D channels, M positions after pooling. Official weight 1, temperature 0.1.
 *
 * With S_i, T_i the rows of image i's channels (channelRows.ts),
 * loss = (1/N^2) sum over ordered pairs (i, j) of KLrows(S_i S_j', T_i T_j', temperature), in each group of images.
 */
import type { Tensor } from '../../tensor/index.js';
import { groupedPairsKl } from '../groupedPairsKl.js';
import type { Tiling } from '../tiling.js';
import { type ChannelLoss, requireSameRows } from './channelRows.js';

export interface MinibatchChannelOptions {
  /** N; divides the number of rows. */
  readonly images: number;
  /** As in minibatchPixel.ts; by default 0: all images are one group. */
  readonly minibatchGroup?: number;
  readonly temperature: number;
  readonly tiling: Tiling;
}

/** @throws RangeError if the shapes differ, N doesn't divide the rows or the group doesn't divide N */
export function minibatchChannel(
  student_RM: Tensor,
  teacher_RM: Tensor,
  { images, minibatchGroup = 0, temperature, tiling }: MinibatchChannelOptions,
): ChannelLoss {
  requireSameRows(student_RM, teacher_RM);
  const rows = student_RM.shape[0]!;
  if (rows % images !== 0)
    throw new RangeError(`images: ${images} given, don't divide ${rows} rows`);
  const { loss, gradient_PC } = groupedPairsKl({
    student_PC: student_RM,
    teacher_PD: teacher_RM,
    ...{ images, minibatchGroup, temperature, tiling },
  });
  return { loss, gradient_RM: gradient_PC };
}
