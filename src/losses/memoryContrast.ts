/**
 * Memory-based distillation (CIRKD, CVPR 2022, section 3.3), both pixel-to-pixel and
 * pixel-to-region: compares the student's similarities between labelled pixels and the rows of a
 * memory bank with the teacher's.
 *
 * P labelled pixels, M bank rows, D teacher channels.
 *
 * loss = Tk^2 * KLrows(s X^T / tau, t X^T / tau, Tk), KLrows being the mean over the P rows of
 * KL(teacher || student). Bank rows are constants.
 */
import type { Tensor } from '../tensor/index.js';
import { SMALLEST_TEMPERATURE } from './pairwiseKl.js';
import { rowsKl } from './rowsKl.js';
import { softmaxKl } from './softmaxKl.js';
import type { Tiling } from './tiling.js';

export interface MemoryContrastOptions {
  /** tau: divides the similarities. */
  readonly contrastTemperature: number;
  /** Tk: the temperature of the KL. */
  readonly contrastKdTemperature: number;
  readonly tiling: Tiling;
  /** Of the products with bank rows: see rowsKl.ts. Default: fp32. */
  readonly bankProducts?: 'fp32' | 'bf16';
}

export interface MemoryContrastLoss {
  readonly loss: number;
  /** float32 [P, D], with respect to the student's unit rows. */
  readonly gradient_PD: Tensor;
}

/**
 * @param student_PD unit rows of the projected student feature
 * @param teacher_PD unit rows of the teacher's feature
 * @param bank_MD unit rows; the loss is 0 if there are none
 */
export function memoryContrast(
  student_PD: Tensor,
  teacher_PD: Tensor,
  bank_MD: Tensor,
  options: MemoryContrastOptions,
): MemoryContrastLoss {
  const { contrastTemperature, contrastKdTemperature, tiling, bankProducts = 'fp32' } = options;
  const temperature = contrastTemperature * contrastKdTemperature;
  const scale = contrastKdTemperature ** 2 / Math.max(1, student_PD.shape[0]!);
  if (temperature >= SMALLEST_TEMPERATURE) {
    return rowsKl({
      ...{ student_PD, teacher_PD, keys_MD: bank_MD },
      ...{ temperature, scale, tiling, products: bankProducts },
    });
  }
  const { loss, rowsGradient_PC } = softmaxKl({
    studentRows_PC: student_PD,
    teacherRows_PD: teacher_PD,
    studentKeys_QC: bank_MD,
    teacherKeys_QD: bank_MD,
    groups: 1,
    keyGradient: false,
    ...{ temperature, scale, tiling },
  });
  return { loss, gradient_PD: rowsGradient_PC };
}
