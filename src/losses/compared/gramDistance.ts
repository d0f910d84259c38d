/**
 * |S S' - T T'|^2 of one image without its M x M matrices, for skdPairwise.ts.
 *
 * M rows, C student channels, D teacher channels, R rows per tile.
 *
 *     |S S' - T T'|^2 = |S'S|^2 + |T'T|^2 - 2 |S'T|^2        (Frobenius norms)
 *     gradient with respect to S = 4 (S (S'S) - T (T'S)),
 * in which the largest matrices are C x C, C x D and D x D: time and memory are linear in M.
 * The differences cancel where the networks agree, so these products are in double precision.
 */
import { ops, readScalar, scalar, scope, type Tensor } from '../../tensor/index.js';
import { type Tiling, tileRowCount } from '../tiling.js';

/** Of all pairs of an image's positions. */
export interface MatrixDistance {
  /** |S S' - T T'|^2 */
  readonly squares: number;
  /** float32 [M, C], with respect to S. */
  readonly gradient_MC: Tensor;
}

/** Multiply-adds: M (2 C^2 + 2 C D + D^2), in double precision. */
export function gramDistance(
  student_MC: Tensor,
  teacher_MD: Tensor,
  tiling: Tiling,
): MatrixDistance {
  return scope(() => {
    const [rows = 0, channels = 0] = student_MC.shape;
    const step = tileRowCount(rows, channels + teacher_MD.shape[1]!, tiling);
    const tiles = Array.from({ length: Math.ceil(rows / step) }, (_, tile) => ({
      begin: tile * step,
      count: Math.min(step, rows - tile * step),
    }));
    const inDouble = (x: Tensor, { begin, count }: (typeof tiles)[number]) =>
      ops.cast(ops.rows(x, begin, count), 'float64');
    const product = (a: Tensor, b: Tensor) => productOfTiles(tiles, a, b, inDouble);
    const own_CC = product(student_MC, student_MC);
    const cross_CD = product(student_MC, teacher_MD);
    const squares = scope(() => {
      const norm = (x: Tensor) => ops.sum(ops.square(x), [0, 1]);
      const [own, cross] = [norm(own_CC), norm(cross_CD)];
      const target = norm(product(teacher_MD, teacher_MD));
      return readScalar(ops.sub(ops.add(own, target), ops.add(cross, cross)));
    });
    const gradients = tiles.map((tile) =>
      scope(() => {
        const own_RC = ops.matMul(inDouble(student_MC, tile), own_CC);
        const target_RC = ops.matMul(inDouble(teacher_MD, tile), cross_CD, { transposeB: true });
        return ops.mul(ops.cast(ops.sub(own_RC, target_RC), 'float32'), scalar(4));
      }),
    );
    return { squares: notNegative(squares), gradient_MC: ops.concat(gradients, 0) };
  });
}

/** A'B, added up over tiles of rows. */
function productOfTiles<Tile>(
  tiles: readonly Tile[],
  a: Tensor,
  b: Tensor,
  pick: (x: Tensor, tile: Tile) => Tensor,
): Tensor {
  let sum: Tensor | null = null;
  for (const tile of tiles) {
    const before: Tensor | null = sum;
    sum = scope(() => {
      const part = ops.matMul(pick(a, tile), pick(b, tile), { transposeA: true });
      return before === null ? part : ops.add(before, part);
    });
    before?.dispose();
  }
  return sum!;
}

/** Rounding may leave a sum of squares slightly below 0; NaN stays NaN. */
const notNegative = (value: number) => (value < 0 ? 0 : value);
