/**
 * KL divergence between similarities over all ordered pairs of images, at any temperature:
 * pairwiseKl.ts, or softmaxKl.ts where exp needs a running maximum.
 */
import { ops, scope } from '../tensor/index.js';
import {
  type PairwiseKl,
  type PairwiseKlInput,
  pairwiseKl,
  SMALLEST_TEMPERATURE,
} from './pairwiseKl.js';
import { softmaxKl } from './softmaxKl.js';

export function imagePairsKl(input: PairwiseKlInput): PairwiseKl {
  if (input.temperature >= SMALLEST_TEMPERATURE) return pairwiseKl(input);
  const { images, temperature, scale, tiling } = input;
  return scope(() => {
    const { loss, rowsGradient_PC, keysGradient_QC } = softmaxKl({
      studentRows_PC: input.student_PC,
      teacherRows_PD: input.teacher_PD,
      studentKeys_QC: input.student_PC,
      teacherKeys_QD: input.teacher_PD,
      groups: images,
      keyGradient: true,
      ...{ temperature, scale, tiling },
    });
    return { loss, gradient_PC: ops.add(rowsGradient_PC, keysGradient_QC!) };
  });
}
