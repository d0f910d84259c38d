/**
 * Pair-wise distillation (SKD): Liu et al., "Structured knowledge distillation for semantic
 * segmentation", CVPR 2019, section 3.2, as the official CIRKD code has it.
 *
 * N images, H W positions, C student channels, D teacher channels; M = ceil(H/2) * ceil(W/2)
 * positions after max pooling. Official weight 10.
 *
 * After 2x2 max pooling, with S_i and T_i the unit rows of image i,
 * loss = mean over N * M * M of (S_i S_i' - T_i T_i')^2.
 *
 * The M x M matrices are never in memory as a whole. Small maps take them tile by tile
 * (similarityDistance.ts), with products that grow with M^2; large ones the products of channels
 * with channels (gramDistance.ts), which grow with M, but are larger for a small M and have to be in
 * double precision. Both give the same; the cheaper one is chosen.
 */
import { ops, readScalar, scalar, scope, type Tensor } from '../../tensor/index.js';
import { unitRows, unitRowsGrad } from '../normalize.js';
import type { Tiling } from '../tiling.js';
import { gramDistance, type MatrixDistance } from './gramDistance.js';
import { asRows, requireSamePositions } from './maps.js';
import { similarityDistance } from './similarityDistance.js';

const WINDOW = 2;

/**
 * What a multiply-add in double precision takes, in those of single precision: TensorFlow has the
 * latter from oneDNN at the processor's best vector level, the former compiled for AVX.
 */
const DOUBLE_COST = 4;

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
    const distance = cheaperDistance(rows, student_NHWC.shape[3]!, teacher_NHWD.shape[3]!);
    const parts = Array.from({ length: images }, (_, image) =>
      scope(() => {
        const ofImage = (x: Tensor) => ops.rows(x, image * rows, rows);
        return distance(ofImage(student.embedding_PC), ofImage(teacher_PD), tiling);
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

type Distance = (student_MC: Tensor, teacher_MD: Tensor, tiling: Tiling) => MatrixDistance;

/** By their multiply-adds; of M rows, C and D channels. */
export function cheaperDistance(rows: number, student: number, teacher: number): Distance {
  const byTiles = rows ** 2 * (1.5 * student + 0.5 * teacher);
  const byChannels = rows * (2 * student ** 2 + 2 * student * teacher + teacher ** 2);
  return byTiles <= DOUBLE_COST * byChannels ? similarityDistance : gramDistance;
}

/** NaN if a value is not finite, otherwise 0: the maximum of a window may pass over NaN. */
const notFinite = (map_NHWC: Tensor) =>
  scope(() => 0 * readScalar(ops.sum(map_NHWC, [0, 1, 2, 3])));
