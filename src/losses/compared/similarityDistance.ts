/**
 * |S S' - T T'|^2 of one image by tiles of its M x M matrix, for skdPairwise.ts.
 *
 * M rows, C student channels, D teacher channels; R rows per tile, K of the rows behind them.
 *
 * A part X of the matrix S S' - T T' gives its share of the squares, and X S of the gradient, 4 X S in
 * all. The matrix is symmetric, so that R rows are only multiplied with themselves and with the K rows
 * behind them: the latter part counts twice, and X' S is the gradient of those K rows.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { sumOfSquares } from '../rowSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import type { MatrixDistance } from './gramDistance.js';

/** Rows times themselves hold each pair twice: with eight tiles a sixteenth of the products is extra. */
const TILES = 8;
/** With fewer rows, products run below their full rate. */
const FULL_RATE_ROWS = 128;

/** Multiply-adds: M^2 (1.5 C + 0.5 D), besides those that R rows have twice. */
export function similarityDistance(
  student_MC: Tensor,
  teacher_MD: Tensor,
  tiling: Tiling,
): MatrixDistance {
  return scope(() => {
    const rows = student_MC.shape[0]!;
    const step = rowsPerTile(rows, tiling);
    const gradients: Tensor[] = [];
    let squares = 0;
    /** What the rows from here on have from those before them; null: nothing. */
    let pending_KC: Tensor | null = null;
    for (let begin = 0; begin < rows; begin += step) {
      const before: Tensor | null = pending_KC;
      const count = Math.min(step, rows - begin);
      const tile = tileDistance(student_MC, teacher_MD, { begin, count }, before);
      before?.dispose();
      squares += tile.squares;
      gradients.push(tile.gradient_RC);
      pending_KC = tile.pending_KC;
    }
    return { squares, gradient_MC: ops.mul(ops.concat(gradients, 0), scalar(4)) };
  });
}

interface Range {
  readonly begin: number;
  readonly count: number;
}

function tileDistance(
  student_MC: Tensor,
  teacher_MD: Tensor,
  { begin, count }: Range,
  before: Tensor | null,
) {
  return scope(() => {
    const behind = student_MC.shape[0]! - begin - count;
    const own = (x: Tensor) => ops.rows(x, begin, count);
    const other = (x: Tensor) => ops.rows(x, begin + count, behind);
    const difference = (pick: (x: Tensor) => Tensor) =>
      scope(() => {
        const similarity = (x: Tensor) => ops.matMul(own(x), pick(x), { transposeB: true });
        return ops.sub(similarity(student_MC), similarity(teacher_MD));
      });
    const own_RR = difference(own);
    const parts_RC = [ops.matMul(own_RR, own(student_MC))];
    if (before !== null) parts_RC.push(ops.rows(before, 0, count));
    let squares = sumOfSquares(own_RR);
    if (behind === 0) return { squares, gradient_RC: ops.addN(parts_RC), pending_KC: null };
    const other_RK = difference(other);
    squares += 2 * sumOfSquares(other_RK);
    parts_RC.push(ops.matMul(other_RK, other(student_MC)));
    const parts_KC = [ops.matMul(other_RK, own(student_MC), { transposeA: true })];
    if (before !== null) parts_KC.push(ops.rows(before, count, behind));
    return { squares, gradient_RC: ops.addN(parts_RC), pending_KC: ops.addN(parts_KC) };
  });
}

/** Within the budget, and no more than it takes to use the symmetry. */
function rowsPerTile(rows: number, tiling: Tiling): number {
  const most = tileRowCount(rows, rows, tiling);
  if (tiling.tileRows !== undefined) return most;
  return Math.min(most, Math.max(FULL_RATE_ROWS, Math.ceil(rows / TILES)));
}
