/**
 * The mean over groups of images of imagePairsKl.ts: each process of the official run has a group of its own.
 *
 * N images of R rows each, P = N * R.
 */
import { ops, scope, type Tensor } from '../tensor/index.js';
import { imagePairsKl } from './imagePairsKl.js';
import type { Tiling } from './tiling.js';

export interface GroupedPairsInput {
  /** float32 [P, C]: unit rows, image after image. */
  readonly student_PC: Tensor;
  /** float32 [P, D] */
  readonly teacher_PD: Tensor;
  /** N; divides P. */
  readonly images: number;
  /** Number of images that are compared with one another; must divide N. 0: all images. */
  readonly minibatchGroup: number;
  readonly temperature: number;
  readonly tiling: Tiling;
}

/**
 * Over a group of g images with rows F_i, (1/g^2) sum over ordered pairs (i, j) of
 * KLrows(Fs_i Fs_j', Ft_i Ft_j', temperature), and the gradient with respect to the student's rows.
 * Throws RangeError if the group doesn't divide the images.
 */
export function groupedPairsKl(input: GroupedPairsInput): { loss: number; gradient_PC: Tensor } {
  const { student_PC, teacher_PD, images, temperature, tiling } = input;
  const groupImages = input.minibatchGroup === 0 ? images : input.minibatchGroup;
  if (images % groupImages !== 0) {
    throw new RangeError(`minibatchGroup: ${groupImages} given, doesn't divide ${images} images`);
  }
  const groups = images / groupImages;
  const groupRows = student_PC.shape[0]! / groups;
  const scale = 1 / (groups * groupImages * groupRows);
  const gradients: Tensor[] = [];
  let loss = 0;
  for (let group = 0; group < groups; group++) {
    const part = scope(() => {
      const result = imagePairsKl({
        student_PC: ops.rows(student_PC, group * groupRows, groupRows),
        teacher_PD: ops.rows(teacher_PD, group * groupRows, groupRows),
        ...{ images: groupImages, temperature, scale, tiling },
      });
      loss += result.loss;
      return result.gradient_PC;
    });
    gradients.push(part);
  }
  return { loss, gradient_PC: ops.concat(gradients, 0) };
}
