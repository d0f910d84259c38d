/**
 * Pair-wise distillation (SKD): Liu et al., "Structured knowledge distillation for semantic
 * segmentation", CVPR 2019, section 3.2, as the official CIRKD code has it.
 *
 * N images, H W positions, C student channels, D teacher channels; M = ceil(H/2) * ceil(W/2)
 * positions after max pooling, R rows per tile. Official weight 10.
 *
 * After 2x2 max pooling, with S_i and T_i the unit rows of image i,
 * loss = mean over N * M * M of (S_i S_i' - T_i T_i')^2.
 *
 * The M x M matrices are never formed. Summed over an image,
 *     |S S' - T T'|^2 = |S'S|^2 + |T'T|^2 - 2 |S'T|^2        (Frobenius norms)
 *     gradient with respect to S = 4 (S (S'S) - T (T'S)),
 * in which the largest matrices are C x C, C x D and D x D: time and memory are linear in H * W.
 * The differences cancel where the networks agree, so these products are in double precision.
 */
import { ops, readScalar, scalar, scope, type Tensor } from '../../tensor/index.js';
import { unitRows, unitRowsGrad } from '../normalize.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import { asRows, requireSamePositions } from './maps.js';

const WINDOW = 2;

export interface SkdPairwiseLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the student's raw feature. */
  readonly gradient_NHWC: Tensor;
}

/** @throws RangeError if batch, height or width differ; both features are raw */
export function skdPairwise(
  student_NHWC: Tensor,
  teacher_NHWD: Tensor,
  tiling: Tiling,
): SkdPairwiseLoss {
  requireSamePositions(student_NHWC, teacher_NHWD);
  return scope(() => {
    const pooled_NhwC = ops.cutMaxPool(student_NHWC, WINDOW);
    const student = unitRows(asRows(pooled_NhwC));
    const teacher_PD = scope(
      () => unitRows(asRows(ops.cutMaxPool(teacher_NHWD, WINDOW))).embedding_PC,
    );
    const images = student_NHWC.shape[0]!;
    const rows = teacher_PD.shape[0]! / images;
    const factor = 1 / (images * rows ** 2);
    const parts = Array.from({ length: images }, (_, image) =>
      scope(() => {
        const ofImage = (x: Tensor) => ops.rows(x, image * rows, rows);
        return gramDistance(ofImage(student.embedding_PC), ofImage(teacher_PD), tiling);
      }),
    );
    const direction_PC = ops.concat(
      parts.map(({ gradient_MC }) => gradient_MC),
      0,
    );
    const gradient_PC = unitRowsGrad(ops.mul(direction_PC, scalar(factor)), student);
    const dy_NhwC = ops.reshape(gradient_PC, pooled_NhwC.shape);
    const hidden = notFinite(student_NHWC) + notFinite(teacher_NHWD);
    return {
      loss: factor * parts.reduce((sum, { squares }) => sum + squares, 0) + hidden,
      gradient_NHWC: ops.cutMaxPoolGrad(student_NHWC, pooled_NhwC, dy_NhwC, WINDOW),
    };
  });
}

/** NaN if a value is not finite, otherwise 0: the maximum of a window may pass over NaN. */
const notFinite = (map_NHWC: Tensor) =>
  scope(() => 0 * readScalar(ops.sum(map_NHWC, [0, 1, 2, 3])));

/** |S S' - T T'|^2 of one image, and its gradient with respect to S. */
function gramDistance(student_MC: Tensor, teacher_MD: Tensor, tiling: Tiling) {
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
