/**
 * Checks and views of feature maps that the compared methods share.
 *
 * N images, H W positions, C channels, P = N * H * W.
 */
import { ops, type Tensor } from '../../tensor/index.js';

/** Throws RangeError unless both maps have the same batch, height and width. */
export function requireSamePositions(student_NHWC: Tensor, teacher_NHWD: Tensor): void {
  const [wanted, given] = [student_NHWC.shape, teacher_NHWD.shape];
  if (wanted.length !== 4 || given.slice(0, 3).join() !== wanted.slice(0, 3).join()) {
    throw new RangeError(`teacher map: shape [${given}], the student's is [${wanted}]`);
  }
}

/** Throws RangeError unless both maps have the same shape. */
export function requireSameShape(student_NHWC: Tensor, teacher_NHWC: Tensor): void {
  requireSamePositions(student_NHWC, teacher_NHWC);
  if (student_NHWC.shape[3] !== teacher_NHWC.shape[3]) {
    throw new RangeError(
      `teacher map: ${teacher_NHWC.shape[3]} channels, the student's has ${student_NHWC.shape[3]}`,
    );
  }
}

/** [N, H, W, C] as rows [P, C]; shares the memory. */
export function asRows(map_NHWC: Tensor): Tensor {
  const channels = map_NHWC.shape.at(-1)!;
  return ops.reshape(map_NHWC, [map_NHWC.size / channels, channels]);
}

/** One image of [N, H, W, C] as [H * W, C]. */
export function imageRows(map_NHWC: Tensor, image: number): Tensor {
  const [, height = 0, width = 0, channels = 0] = map_NHWC.shape;
  return ops.reshape(ops.rows(map_NHWC, image, 1), [height * width, channels]);
}
