/**
 * KL divergence between the teacher's and the student's softmax over similarities between rows and
 * keys, where the keys are constants shared by both, such as the rows of a memory bank.
 *
 * P rows, M keys, D channels; a tile has R rows and all keys.
 *
 * With S = student similarities / temperature and T the teacher's, a tile determines the
 * distributions of its rows, so one pass suffices: KL = sum of p (T - S) + log Zs - log Zt,
 * dKL/dS = q - p. Multiply-adds: 3 P M D. On a CPU one kernel does all of it,
 * and computes each exp once. pairwiseKl.ts says why no running maximum is needed.
 */
import {
  kernels,
  ops,
  readFloat32,
  readScalar,
  type SimilarityKl,
  scalar,
  scope,
  similarityTile,
  type Tensor,
  zeros,
} from '../tensor/index.js';
import { sumInDouble } from './rowSum.js';
import { type Tiling, tileRowCount } from './tiling.js';

export interface RowsKlInput {
  /** float32 unit rows. */
  readonly student_PD: Tensor;
  readonly teacher_PD: Tensor;
  readonly keys_MD: Tensor;
  /** Divides the similarities; at least SMALLEST_TEMPERATURE (pairwiseKl.ts). */
  readonly temperature: number;
  /** Factor on the sum over all rows. */
  readonly scale: number;
  readonly tiling: Tiling;
  /** Whether products may be less exact where they are faster then: RowsKlOptions. Default: fp32. */
  readonly products?: 'fp32' | 'bf16';
}

export interface RowsKl {
  /** scale * sum over rows of KL(teacher || student). */
  readonly loss: number;
  /** float32 [P, D], with respect to student_PD. */
  readonly gradient_PD: Tensor;
}

export function rowsKl(input: RowsKlInput): RowsKl {
  const { student_PD, keys_MD } = input;
  if (student_PD.shape[0] === 0 || keys_MD.shape[0] === 0) {
    return { loss: 0, gradient_PD: zeros(student_PD.shape) };
  }
  const { similarityKl } = kernels();
  return similarityKl === null ? tiledRowsKl(input) : fusedRowsKl(input, similarityKl);
}

function fusedRowsKl(input: RowsKlInput, kernel: SimilarityKl): RowsKl {
  const { student_PD, teacher_PD, keys_MD, temperature, scale, tiling } = input;
  const { products = 'fp32' } = input;
  return scope(() => {
    const { kl_P, gradient } = kernel.rows(student_PD, teacher_PD, keys_MD, {
      ...{ temperature, scale, products, budgetMiB: tiling.lossMemoryMiB },
    });
    return { loss: scale * sumInDouble(kl_P), gradient_PD: gradient };
  });
}

/** For devices without the kernel; exported for comparison. Neither rows nor keys are empty. */
export function tiledRowsKl(input: RowsKlInput): RowsKl {
  return scope(() => {
    const { student_PD, teacher_PD, keys_MD, temperature, scale } = input;
    const [rows = 0] = student_PD.shape;
    const [keys = 0] = keys_MD.shape;
    const keys_DM = scope(() => ops.transpose(ops.mul(keys_MD, scalar(1 / temperature)), [1, 0]));
    const zeros_M = zeros([keys]);
    const factor = scalar(scale / temperature);
    const step = tileRowCount(rows, keys, input.tiling);
    const gradients: Tensor[] = [];
    let klSum = 0;
    for (let begin = 0; begin < rows; begin += step) {
      const tile = scope(() => {
        const count = Math.min(step, rows - begin);
        const similarity = (rows_PD: Tensor) =>
          ops.matMul(ops.rows(rows_PD, begin, count), keys_DM);
        const { kl, gradient_RM } = tileKl(similarity(student_PD), similarity(teacher_PD), zeros_M);
        const gradient_RD = ops.mul(ops.matMul(gradient_RM, keys_MD), factor);
        return { kl, gradient_RD };
      });
      klSum += tile.kl;
      gradients.push(tile.gradient_RD);
    }
    return { loss: scale * klSum, gradient_PD: ops.concat(gradients, 0) };
  });
}

/** Sum of the rows' KL and its gradient with respect to the student's similarities. */
function tileKl(student_RM: Tensor, teacher_RM: Tensor, zeros_M: Tensor) {
  const studentSums_R = similarityTile.expSums(student_RM).rows_R;
  const teacherSums_R = similarityTile.expSums(teacher_RM).rows_R;
  const { gradient_RM, crossSum_1 } = similarityTile.klTile({
    student_RM,
    teacher_RM,
    studentRow_R: ops.div(scalar(1), studentSums_R),
    studentColumn_M: zeros_M,
    teacherRow_R: ops.div(scalar(1), teacherSums_R),
    teacherColumn_M: zeros_M,
  });
  const kl = readScalar(crossSum_1) + sumOfLogs(studentSums_R) - sumOfLogs(teacherSums_R);
  return { kl, gradient_RM };
}

function sumOfLogs(sums_R: Tensor): number {
  return readFloat32(sums_R).reduce((total, sum) => total + Math.log(sum), 0);
}
