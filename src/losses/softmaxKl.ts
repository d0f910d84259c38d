/**
 * KL divergence between the teacher's and the student's softmax over similarities between rows and
 * keys, for temperatures so low that exp overflows without a running maximum. For all others,
 * pairwiseKl.ts and rowsKl.ts are several times as fast.
 *
 * P rows, Q keys in G groups of M = Q / G consecutive keys (each row has one distribution per
 * group), C student channels, D teacher channels, R rows per tile.
 *
 * With S = student similarities / temperature, T the teacher's, p = softmax T, q = softmax S:
 * KL(p || q) = CE(S, p) - CE(T, p) and dKL/dS = q - p, both from TensorFlow's fused cross entropy.
 * Each tile's gradient is propagated to rows and keys immediately, so a tile costs one matrix
 * product for the teacher, one for the student and one for each gradient.
 */
import { ops, scalar, scope, type Tensor, zeros } from '../tensor/index.js';
import { sumInDouble } from './rowSum.js';
import { type Tiling, tileRowCount } from './tiling.js';

export interface SoftmaxKlInput {
  readonly studentRows_PC: Tensor;
  readonly teacherRows_PD: Tensor;
  readonly studentKeys_QC: Tensor;
  readonly teacherKeys_QD: Tensor;
  /** G; must divide Q. */
  readonly groups: number;
  /** Divides the similarities. */
  readonly temperature: number;
  /** Factor on the sum over all rows and groups. */
  readonly scale: number;
  /** true if the keys are the student's own features: a gradient then flows to them too. */
  readonly keyGradient: boolean;
  readonly tiling: Tiling;
}

export interface SoftmaxKl {
  /** scale * sum over rows and groups of KL(teacher || student). */
  readonly loss: number;
  /** float32, with respect to studentRows_PC. */
  readonly rowsGradient_PC: Tensor;
  /** With respect to studentKeys_QC; null unless keyGradient. */
  readonly keysGradient_QC: Tensor | null;
}

export function softmaxKl(input: SoftmaxKlInput): SoftmaxKl {
  return scope(() => {
    const [rowCount = 0, channels = 0] = input.studentRows_PC.shape;
    const keyCount = input.studentKeys_QC.shape[0]!;
    if (rowCount === 0 || keyCount === 0) return emptyResult(input);
    const step = tileRowCount(rowCount, keyCount, input.tiling);
    const invTemperature = scalar(1 / input.temperature);
    let klSum = 0;
    const rowGradients: Tensor[] = [];
    let keysGradient_QC = zeros([input.keyGradient ? keyCount : 0, channels]);
    for (let begin = 0; begin < rowCount; begin += step) {
      const tile = scope(() => {
        const count = Math.min(step, rowCount - begin);
        const student_RC = ops.mul(ops.rows(input.studentRows_PC, begin, count), invTemperature);
        const teacher_RD = ops.mul(ops.rows(input.teacherRows_PD, begin, count), invTemperature);
        return tileKl(student_RC, teacher_RD, input);
      });
      klSum += tile.klSum;
      rowGradients.push(tile.rowsGradient_RC);
      if (tile.keysGradient_QC !== null) {
        const sum_QC = ops.add(keysGradient_QC, tile.keysGradient_QC);
        keysGradient_QC.dispose();
        tile.keysGradient_QC.dispose();
        keysGradient_QC = sum_QC;
      }
    }
    return {
      loss: input.scale * klSum,
      // The keys' gradient already has the factor 1 / temperature, from the tile's rows.
      rowsGradient_PC: ops.mul(
        ops.concat(rowGradients, 0),
        scalar(input.scale / input.temperature),
      ),
      keysGradient_QC: input.keyGradient ? ops.mul(keysGradient_QC, scalar(input.scale)) : null,
    };
  });
}

interface TileKl {
  readonly klSum: number;
  /** Without the factor 1 / temperature. */
  readonly rowsGradient_RC: Tensor;
  readonly keysGradient_QC: Tensor | null;
}

/** One tile, whose rows are already divided by the temperature. */
function tileKl(student_RC: Tensor, teacher_RD: Tensor, input: SoftmaxKlInput): TileKl {
  const rows = student_RC.shape[0]!;
  const keys = input.studentKeys_QC.shape[0]!;
  const perDistribution = [rows * input.groups, keys / input.groups];
  const target = scope(() => {
    const similarity_RQ = ops.matMul(teacher_RD, input.teacherKeys_QD, { transposeB: true });
    const similarity_NM = ops.reshape(similarity_RQ, perDistribution);
    const p_NM = ops.softmax(similarity_NM);
    return { p_NM, entropy_N: ops.softmaxCrossEntropy(similarity_NM, p_NM).loss_N };
  });
  const { klSum, gradient_RQ } = scope(() => {
    const similarity_RQ = ops.matMul(student_RC, input.studentKeys_QC, { transposeB: true });
    const similarity_NM = ops.reshape(similarity_RQ, perDistribution);
    const { loss_N, gradient_NM } = ops.softmaxCrossEntropy(similarity_NM, target.p_NM);
    return {
      klSum: sumInDouble(ops.sub(loss_N, target.entropy_N)),
      gradient_RQ: ops.reshape(gradient_NM, [rows, keys]),
    };
  });
  target.p_NM.dispose();
  return {
    klSum,
    rowsGradient_RC: ops.matMul(gradient_RQ, input.studentKeys_QC),
    keysGradient_QC: input.keyGradient
      ? ops.matMul(gradient_RQ, student_RC, { transposeA: true })
      : null,
  };
}

function emptyResult(input: SoftmaxKlInput): SoftmaxKl {
  return {
    loss: 0,
    rowsGradient_PC: zeros(input.studentRows_PC.shape),
    keysGradient_QC: input.keyGradient ? zeros(input.studentKeys_QC.shape) : null,
  };
}
