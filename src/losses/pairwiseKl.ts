/**
 * KL divergence between the teacher's and the student's softmax over similarities: every row of a
 * group of images is compared with all rows of each image in the group.
 *
 * P rows in total; C student channels, D teacher channels; R rows and M columns per tile.
 *
 * With S = student similarities / temperature and T the teacher's:
 *     Zs(r, j) = sum of exp S(r, s) over the rows s of image j
 *     q(r, s) = exp S(r, s) / Zs(r, image of s), and p likewise for the teacher
 *     KL of row r to image j = sum of p (T - S) + log Zs - log Zt,   dKL/dS = q - p
 * S is symmetric, so one tile serves both (r, s) and (s, r). Between the images i and j, with
 * u(r) = 1 / Z(r, j) and v(s) = 1 / Z(s, i), the gradient with respect to both is
 *     H = exp S (us + vs) - exp T (ut + vt),
 * and the gradient with respect to F is H F / temperature. This takes two passes over half the
 * matrix: one for Z, one for H. The first pass keeps as many tiles for the second as the memory
 * budget allows. On a CPU one kernel does all of it, which keeps exp S and exp T and sums p (T - S) in the first pass.
 *
 * Multiply-adds: P^2 / 2 (C + D) per pass for the similarities, P^2 C for H F. Memory: linear in P,
 * apart from one number per row, image and network.
 * No running maximum is needed: rows are unit, so |S| <= 1 / temperature; see SMALLEST_TEMPERATURE.
 */
import {
  kernels,
  ops,
  readScalar,
  type SimilarityKl,
  scope,
  similarityTile,
  type Tensor,
} from '../tensor/index.js';
import { GradientBlocks } from './gradientBlocks.js';
import { NetworkSimilarities } from './networkSimilarities.js';
import { sumInDouble } from './rowSum.js';
import { rowBlocks, type SimilarityTile, tilesOfBlock } from './similarityTiles.js';
import { blockSide, keptMatrices, type Tiling, tileRowCount } from './tiling.js';

export interface PairwiseKlInput {
  /** float32, unit rows, images in order. */
  readonly student_PC: Tensor;
  readonly teacher_PD: Tensor;
  /** Must divide P. */
  readonly images: number;
  /** Divides the similarities; at least SMALLEST_TEMPERATURE. */
  readonly temperature: number;
  /** Factor on the sum over all rows and images. */
  readonly scale: number;
  readonly tiling: Tiling;
}

export interface PairwiseKl {
  /** scale * sum over rows and images of KL(teacher || student). */
  readonly loss: number;
  /** float32 [P, C], with respect to student_PC. */
  readonly gradient_PC: Tensor;
}

/** The lowest at which exp(1 / temperature), summed over millions of rows, fits into float32. */
export const SMALLEST_TEMPERATURE = 1 / 64;

export function pairwiseKl(input: PairwiseKlInput): PairwiseKl {
  const { similarityKl } = kernels();
  return similarityKl === null ? tiledPairwiseKl(input) : fusedPairwiseKl(input, similarityKl);
}

function fusedPairwiseKl(input: PairwiseKlInput, kernel: SimilarityKl): PairwiseKl {
  const { student_PC, teacher_PD, images, temperature, scale, tiling } = input;
  return scope(() => {
    const { kl_P, gradient } = kernel.pairs(student_PC, teacher_PD, {
      ...{ images, temperature, scale, budgetMiB: tiling.lossMemoryMiB },
      side: tiling.tileRows === undefined ? null : Math.min(tiling.tileRows, student_PC.shape[0]!),
    });
    return { loss: scale * sumInDouble(kl_P), gradient_PC: gradient };
  });
}

/** For devices without the kernel; exported for comparison. */
export function tiledPairwiseKl(input: PairwiseKlInput): PairwiseKl {
  const { temperature, scale } = input;
  const { blocks, tiles, keptTiles } = planOf(input);
  const common = { blocks, images: input.images, temperature };
  const student = new NetworkSimilarities(input.student_PC, {
    ...common,
    keptTiles: keptTiles.student,
    keepsColumns: true,
  });
  const teacher = new NetworkSimilarities(input.teacher_PD, {
    ...common,
    keptTiles: keptTiles.teacher,
    keepsColumns: false,
  });
  const gradient = new GradientBlocks(blocks);
  try {
    for (const tile of tiles) {
      teacher.normalise(tile);
      student.normalise(tile);
    }
    let klSum = student.sumOfLogs() - teacher.sumOfLogs();
    for (const tile of tiles) klSum += addTile(tile, student, teacher, gradient);
    // The student's columns are already divided by the temperature.
    const gradient_PC = gradient.take(scale / temperature, scale);
    return { loss: scale * klSum, gradient_PC };
  } finally {
    student.dispose();
    teacher.dispose();
    gradient.dispose();
  }
}

/** Adds a tile's gradient; returns its share of the sum of p (T - S). */
function addTile(
  tile: SimilarityTile,
  student: NetworkSimilarities,
  teacher: NetworkSimilarities,
  gradient: GradientBlocks,
): number {
  const { rows, columns, isDiagonal } = tile;
  return scope(() => {
    const { gradient_RM, crossSum_1 } = teacher.lend(tile, (teacher_RM) =>
      student.lend(tile, (student_RM) =>
        similarityTile.klTile({
          student_RM,
          teacher_RM,
          studentRow_R: student.reciprocals(rows, columns.image),
          studentColumn_M: student.reciprocals(columns, rows.image),
          teacherRow_R: teacher.reciprocals(rows, columns.image),
          teacherColumn_M: teacher.reciprocals(columns, rows.image),
        }),
      ),
    );
    gradient.addRows(tile, ops.matMul(gradient_RM, student.rows(columns)));
    if (isDiagonal) return readScalar(crossSum_1) / 2; // It contains each pair of rows twice.
    const rows_CR = student.columns(rows, tile.rowBlock);
    gradient.addColumns(tile, ops.matMul(rows_CR, gradient_RM));
    return readScalar(crossSum_1);
  });
}

function planOf({ student_PC, teacher_PD, images, tiling }: PairwiseKlInput) {
  const [rows = 0, studentChannels = 0] = student_PC.shape;
  const rowsPerImage = rows / images;
  const side = blockSide(rowsPerImage, tiling);
  const tileRows = tileRowCount(rowsPerImage, side, tiling);
  const blocks = rowBlocks(images, rowsPerImage, side);
  const tiles = blocks.flatMap((_, block) => tilesOfBlock(blocks, block, tileRows));
  const room = keptMatrices(tileRows * side, tiling);
  // The network with more channels goes first: its similarities cost more to recompute.
  const [first, second] = [Math.min(room, tiles.length), Math.max(0, room - tiles.length)];
  const teacherFirst = teacher_PD.shape[1]! >= studentChannels;
  const keptTiles = {
    teacher: teacherFirst ? first : second,
    student: teacherFirst ? second : first,
  };
  return { blocks, tiles, keptTiles };
}
