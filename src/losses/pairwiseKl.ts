/**
 * KL divergence between the teacher's and the student's softmax over similarities, of every row of a
 * group of images to the rows of each of its images.
 *
 * P rows of all images; C student channels, D teacher channels; a tile has R rows and M columns.
 *
 * With S = student similarities / temperature and T the teacher's:
 *     Zs(r, j) = sum of exp S(r, s) over the rows s of image j
 *     q(r, s) = exp S(r, s) / Zs(r, image of s), and p alike of the teacher
 *     KL of row r to image j = sum of p (T - S) + log Zs - log Zt,   dKL/dS = q - p
 * S is symmetric, so a tile of it serves (r, s) and (s, r). Between the images i and j, with
 * u(r) = 1 / Z(r, j) and v(s) = 1 / Z(s, i), the gradient with respect to both is
 *     H = exp S (us + vs) - exp T (ut + vt),
 * and F's is H F / temperature. Hence two passes over half the matrix: one for Z, one for H. As many
 * similarities as the budget has room for are kept from the first for the second.
 *
 * Multiply-adds: P^2 / 2 (C + D) a pass for the similarities, P^2 C for H F. Memory: linear in P, but for
 * one number a row, image and network.
 * There's no running maximum: rows are unit, so |S| <= 1 / temperature, see SMALLEST_TEMPERATURE.
 */
import { kernels, ops, readScalar, scope, type Tensor } from '../tensor/index.js';
import { GradientBlocks } from './gradientBlocks.js';
import { NetworkSimilarities } from './networkSimilarities.js';
import { rowBlocks, type SimilarityTile, tilesOfBlock } from './similarityTiles.js';
import { blockSide, keptMatrices, type Tiling, tileRowCount } from './tiling.js';

export interface PairwiseKlInput {
  /** float32, unit rows, images in order. */
  readonly student_PC: Tensor;
  readonly teacher_PD: Tensor;
  /** Divides P. */
  readonly images: number;
  /** Divides the similarities; at least SMALLEST_TEMPERATURE. */
  readonly temperature: number;
  /** Factor of the sum over all rows and images. */
  readonly scale: number;
  readonly tiling: Tiling;
}

export interface PairwiseKl {
  /** scale * sum over rows and images of KL(teacher || student). */
  readonly loss: number;
  /** float32 [P, C], of the loss. */
  readonly gradient_PC: Tensor;
}

/** Down to it exp(1 / temperature), summed over millions of rows, and its reciprocal are float32. */
export const SMALLEST_TEMPERATURE = 1 / 64;

export function pairwiseKl(input: PairwiseKlInput): PairwiseKl {
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
    // The student's columns were divided by the temperature already.
    const gradient_PC = gradient.take(scale / temperature, scale);
    return { loss: scale * klSum, gradient_PC };
  } finally {
    student.dispose();
    teacher.dispose();
    gradient.dispose();
  }
}

/** Adds a tile's gradient; gives its part of the sum of p (T - S). */
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
        kernels().similarity.klTile({
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
    if (isDiagonal) return readScalar(crossSum_1) / 2; // It has each pair of rows both ways.
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
  // First the network with more channels, whose similarities cost more.
  const [first, second] = [Math.min(room, tiles.length), Math.max(0, room - tiles.length)];
  const teacherFirst = teacher_PD.shape[1]! >= studentChannels;
  const keptTiles = {
    teacher: teacherFirst ? first : second,
    student: teacherFirst ? second : first,
  };
  return { blocks, tiles, keptTiles };
}
