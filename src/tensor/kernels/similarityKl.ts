/**
 * KL divergences between softmaxes over similarities, loss and gradient in one op. CPU only
 * (../native/similarity): other devices compute them tile by tile from TensorFlow's ops
 * (src/losses/pairwiseKl.ts and rowsKl.ts, which have the formulas).
 *
 * P rows, M keys, C student and D teacher channels.
 */
import { float32 } from '../create.js';
import { executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

export interface SimilarityKlOptions {
  /** Divides the similarities. */
  readonly temperature: number;
  /** Of the gradient with respect to the similarities divided by the temperature. */
  readonly scale: number;
  /** For similarities that are in memory at the same time. */
  readonly budgetMiB: number;
}

export interface RowsKlOptions extends SimilarityKlOptions {
  /**
   * bf16: the factors of all products may be rounded to bfloat16, with sums in float32. They are where the processor is
   * faster then (x86 with AVX512_BF16).
   */
  readonly products: 'fp32' | 'bf16';
}

export interface RowwiseKl {
  /** float32 [P]: KL(teacher || student), summed over the images. */
  readonly kl_P: Tensor;
  /** With respect to the student's rows, times the scale. */
  readonly gradient: Tensor;
}

export interface PairsKlOptions extends SimilarityKlOptions {
  /** Divides P; each row has a softmax over the rows of each image. */
  readonly images: number;
  /** How many rows of a block are compared with how many others at a time; null: by the budget. */
  readonly side: number | null;
}

export interface SimilarityKl {
  /** Unit rows float32 [P, D] of both networks with keys [M, D] that are constants. None is empty. */
  rows(student_PD: Tensor, teacher_PD: Tensor, keys_MD: Tensor, options: RowsKlOptions): RowwiseKl;
  /** All unit rows with one another: student_PC, teacher_PD. The gradient is that of rows and keys. */
  pairs(student_PC: Tensor, teacher_PD: Tensor, options: PairsKlOptions): RowwiseKl;
}

/** Rows and columns of a unit of the kernels, kBlock in ../native/similarity/unit.h. */
const BLOCK = 192;

export const nativeSimilarityKl: SimilarityKl = {
  rows(student_PD, teacher_PD, keys_MD, { temperature, scale, budgetMiB, products }) {
    const rounds = products === 'bf16' ? 1 : 0;
    const numbers = [1 / temperature, scale / temperature, budgetMiB, rounds];
    return run('CirkdRowsKl', [student_PD, teacher_PD, keys_MD], numbers);
  },
  pairs(student_PC, teacher_PD, { temperature, scale, budgetMiB, images, side }) {
    const blocks = side === null ? 0 : Math.max(1, Math.ceil(side / BLOCK));
    const numbers = [1 / temperature, scale / temperature, images, budgetMiB, blocks];
    return run('CirkdPairwiseKl', [student_PC, teacher_PD], numbers);
  },
};

function run(op: string, inputs: readonly Tensor[], numbers: readonly number[]): RowwiseKl {
  return scope(() => {
    const settings = float32(Float32Array.from(numbers), [numbers.length]);
    const [gradient, kl_P] = executeAll(op, [...inputs, settings], [], 2);
    return { kl_P: kl_P!, gradient: gradient! };
  });
}
