/**
 * Labels from the teacher, for images without annotation: the class with the largest logit at each
 * pixel, if its probability is high enough.
 *
 * N images, h w positions of the logits, H W pixels, P = H * W, K classes.
 *
 * The logits are upsampled bilinearly, with corners aligned as the teacher's network does it
 * (TeacherInfo.alignCorners), one image at a time to limit the memory at full resolution.
 */
import type { LabelMaps } from '../losses/nearestLabels.js';
import { ops, readInt32, scalar, scope, type Tensor } from '../tensor/index.js';
import { IGNORED } from './enqueue.js';

export interface TeacherLabelOptions {
  /** Pixels whose class has at most this probability become IGNORED; 0: none do. */
  readonly minConfidence: number;
  /** TeacherInfo.alignCorners. */
  readonly alignCorners: boolean;
}

/**
 * @param logits_NhwK the teacher's, float32, finite
 * @param crops IGNORED where a crop reaches beyond its image, which is kept; other values are unused
 * @returns class numbers or IGNORED, [N, H, W]; among equal logits the first class wins. A pure
 *   function: the same replies give the same bytes
 * Throws RangeError if the numbers of images differ or there are more classes than labels can number.
 */
export function teacherLabels(
  logits_NhwK: Tensor,
  crops: LabelMaps,
  options: TeacherLabelOptions,
): LabelMaps {
  const { images, height, width } = crops;
  const [given = 0, , , classes = 0] = logits_NhwK.shape;
  if (given !== images) throw new RangeError(`logits: ${given} images, wanted ${images}`);
  if (classes > IGNORED) throw new RangeError(`logits: ${classes} classes, wanted <= ${IGNORED}`);
  const data = crops.data.slice();
  for (let image = 0; image < images; image++) {
    const sure_P = scope(() => {
      const logits_1hwK = ops.rows(logits_NhwK, image, 1);
      return readInt32(sureClasses(logits_1hwK, crops, options));
    });
    const first = image * height * width;
    for (let i = 0; i < sure_P.length; i++) {
      if (data[first + i] !== IGNORED) data[first + i] = sure_P[i]!;
    }
  }
  return { data, images, height, width };
}

/** float32 [P]: class number, or IGNORED where its probability isn't above minConfidence. */
function sureClasses(
  logits_1hwK: Tensor,
  { height, width }: LabelMaps,
  { minConfidence, alignCorners }: TeacherLabelOptions,
): Tensor {
  const [, h, w, classes = 0] = logits_1hwK.shape;
  const resized = h !== height || w !== width;
  const full_1HWK = resized
    ? ops.resizeBilinear(logits_1hwK, height, width, alignCorners)
    : logits_1hwK;
  const logits_PK = ops.reshape(full_1HWK, [height * width, classes]);
  const confidence_P = ops.max(ops.softmax(logits_PK), [1]);
  const class_P = ops.cast(ops.argMax(logits_PK, 1), 'float32');
  const isSure_P = ops.greater(confidence_P, scalar(minConfidence));
  return ops.select(isSure_P, class_P, scalar(IGNORED));
}
