/**
 * A feature map as rows of its channels: what the channel terms of CIRKD's second version compare.
 *
 * N images, H W positions, M = H * W, D channels; N * D rows, image-major.
 *
 * Both features are average-pooled by 4 before (`CHANNEL_POOLING`; `cutAveragePoolOnTape` in front of
 * the student's projection head, `cutAveragePool` for the teacher).
 */
import { ops, scope, type Tensor } from '../../tensor/index.js';
import { type UnitRows, unitRows, unitRowsGrad } from '../normalize.js';

/** The window of the average pooling in front of the channel terms. */
export const CHANNEL_POOLING = 4;

/** [N, H, W, D] to unit rows [N * D, M]: unit over the positions. */
export function channelRows(map_NHWD: Tensor): UnitRows {
  const [images = 0, height = 0, width = 0, channels = 0] = map_NHWD.shape;
  return scope(() => {
    const map_NMD = ops.reshape(map_NHWD, [images, height * width, channels]);
    const rows_NDM = ops.transpose(map_NMD, [0, 2, 1]);
    return unitRows(ops.reshape(rows_NDM, [images * channels, height * width]));
  });
}

/** Gradient with respect to the map of the given shape. */
export function channelRowsGrad(
  dy_RM: Tensor,
  rows: UnitRows,
  shape_NHWD: readonly number[],
): Tensor {
  const [images = 0, height = 0, width = 0, channels = 0] = shape_NHWD;
  return scope(() => {
    const dx_RM = unitRowsGrad(dy_RM, rows);
    const dx_NDM = ops.reshape(dx_RM, [images, channels, height * width]);
    return ops.reshape(ops.transpose(dx_NDM, [0, 2, 1]), shape_NHWD);
  });
}

export interface ChannelLoss {
  readonly loss: number;
  /** float32 [N * D, M], with respect to the student's unit rows. */
  readonly gradient_RM: Tensor;
}

/** Throws RangeError if the shapes differ. */
export function requireSameRows(student_RM: Tensor, teacher_RM: Tensor): void {
  if (student_RM.shape.join() !== teacher_RM.shape.join()) {
    throw new RangeError(
      `teacher channels: shape [${teacher_RM.shape}] given, the student's is [${student_RM.shape}]`,
    );
  }
}
