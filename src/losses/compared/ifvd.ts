/**
 * Intra-class feature variation (IFVD): Wang et al., "Intra-class feature variation distillation for
 * semantic segmentation", ECCV 2020, as the official CIRKD code has it.
 *
 * N images, H W positions, K classes, C student channels, D teacher channels; P = N * H * W rows,
 * S = N * K segments (a class of one image), R rows per tile. Official weight 20.
 *
 * The centre of a segment with n positions is the sum of their raw features / (n + 1e-6). With
 * cos(u, v) = u.v / (max(|u|, 1e-8) max(|v|, 1e-8)) of a position's feature and its segment's centre,
 * or the feature itself where there is no class,
 * loss = mean over P of (cos of the student - cos of the teacher)^2.
 * The gradient goes through the centres, too.
 */
import {
  accumulatedSum,
  float32,
  int32,
  ops,
  scalar,
  scope,
  type Tensor,
} from '../../tensor/index.js';
import type { LabelMaps } from '../nearestLabels.js';
import { sumOfSquares } from '../rowSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import { type CosineRows, cosine, cosineGrad } from './cosine.js';
import { asRows, requireSamePositions } from './maps.js';

const CENTRE_EPSILON = 1e-6;

export interface IfvdLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the student's raw feature. */
  readonly gradient_NHWC: Tensor;
}

export interface IfvdOptions {
  readonly classes: number;
  readonly tiling: Tiling;
}

/**
 * @param teacher_NHWD the teacher's raw feature
 * @param labels at the features' size; what is no class number counts as unlabelled
 * @throws RangeError if batch, height or width differ
 */
export function ifvd(
  student_NHWC: Tensor,
  teacher_NHWD: Tensor,
  labels: LabelMaps,
  { classes, tiling }: IfvdOptions,
): IfvdLoss {
  requireSamePositions(student_NHWC, teacher_NHWD);
  requireSize(labels, student_NHWC);
  return scope(() => {
    const segments = segmentsOf(labels, classes);
    const student = withCentres(asRows(student_NHWC), segments);
    const teacher = withCentres(asRows(teacher_NHWD), segments);
    const rows = student.rows_PC.shape[0]!;
    const step = tileRowCount(rows, student_NHWC.shape[3]! + teacher_NHWD.shape[3]!, tiling);
    const gradients: Tensor[] = [];
    let squares = 0;
    const centreShape = [segments.count, student_NHWC.shape[3]!];
    const centres_SC = accumulatedSum(centreShape, (add) => {
      for (let begin = 0; begin < rows; begin += step) {
        const own_RC = scope(() => {
          const range = { begin, count: Math.min(step, rows - begin) };
          const own = cosineTile(student, segments, range);
          const target = cosineTile(teacher, segments, range);
          const difference_R1 = ops.sub(own.cosine_R1, target.cosine_R1);
          squares += sumOfSquares(difference_R1);
          const dy_R1 = ops.mul(difference_R1, scalar(2 / rows));
          const tile = tileGradients(own, dy_R1, segments, range);
          add(tile.centre_SC);
          return tile.own_RC;
        });
        gradients.push(own_RC);
      }
    });
    const gradient_PC = scope(() => {
      const perPosition_SC = ops.mul(centres_SC, segments.reciprocal_S1);
      // Unlabelled positions read the row of zeros behind the last segment.
      const table_SC = ops.pad(perPosition_SC, [
        [0, 1],
        [0, 0],
      ]);
      return ops.concat(
        gradients.map((own_RC, tile) =>
          scope(() => {
            const index_R = ops.rows(segments.index_P, tile * step, own_RC.shape[0]!);
            return ops.add(own_RC, ops.gather(table_SC, index_R));
          }),
        ),
        0,
      );
    });
    return { loss: squares / rows, gradient_NHWC: ops.reshape(gradient_PC, student_NHWC.shape) };
  });
}

interface Segments {
  readonly count: number;
  /** int32 [P]: the segment of a position; `count` where there is none. */
  readonly index_P: Tensor;
  /** bool [P, 1] */
  readonly hasOne_P1: Tensor;
  /** float32 [S, 1]: 1 / (n + 1e-6) */
  readonly reciprocal_S1: Tensor;
}

function segmentsOf({ data, images }: LabelMaps, classes: number): Segments {
  const count = images * classes;
  const positions = data.length / images;
  const sizes = new Int32Array(count + 1);
  const index = Int32Array.from(data, (label, at) => {
    const segment = label < classes ? Math.floor(at / positions) * classes + label : count;
    sizes[segment]! += 1;
    return segment;
  });
  const reciprocals = Float32Array.from(sizes.subarray(0, count), (n) => 1 / (n + CENTRE_EPSILON));
  const index_P = int32(index, [index.length]);
  return {
    count,
    index_P,
    hasOne_P1: scope(() => ops.reshape(ops.less(index_P, int32([count], [])), [index.length, 1])),
    reciprocal_S1: float32(reciprocals, [count, 1]),
  };
}

interface CentredRows {
  readonly rows_PC: Tensor;
  /** [S + 1, C]; the last row is zero. */
  readonly centres_SC: Tensor;
}

function withCentres(rows_PC: Tensor, { count, index_P, reciprocal_S1 }: Segments): CentredRows {
  const centres_SC = scope(() => {
    const sums_SC = ops.rows(ops.unsortedSegmentSum(rows_PC, index_P, count + 1), 0, count);
    return ops.pad(ops.mul(sums_SC, reciprocal_S1), [
      [0, 1],
      [0, 0],
    ]);
  });
  return { rows_PC, centres_SC };
}

interface Range {
  readonly begin: number;
  readonly count: number;
}

function cosineTile(
  { rows_PC, centres_SC }: CentredRows,
  { index_P, hasOne_P1 }: Segments,
  { begin, count }: Range,
): CosineRows {
  return scope(() => {
    const own_RC = ops.rows(rows_PC, begin, count);
    const centre_RC = ops.gather(centres_SC, ops.rows(index_P, begin, count));
    return cosine(own_RC, ops.select(ops.rows(hasOne_P1, begin, count), centre_RC, own_RC));
  });
}

/** Gradients of a tile's positions, and of the centres that they are compared with. */
function tileGradients(
  rows: CosineRows,
  dy_R1: Tensor,
  { count: segments, index_P, hasOne_P1 }: Segments,
  { begin, count }: Range,
) {
  return scope(() => {
    const { u_RC, v_RC } = cosineGrad(dy_R1, rows);
    const sums_SC = ops.unsortedSegmentSum(v_RC, ops.rows(index_P, begin, count), segments + 1);
    // Without a class both sides are the position itself.
    const none_RC = ops.select(ops.rows(hasOne_P1, begin, count), scalar(0), v_RC);
    return { own_RC: ops.add(u_RC, none_RC), centre_SC: ops.rows(sums_SC, 0, segments) };
  });
}

function requireSize(labels: LabelMaps, { shape }: Tensor): void {
  const given = [labels.images, labels.height, labels.width];
  if (given.join() !== shape.slice(0, 3).join()) {
    throw new RangeError(`labels: size [${given}] given, the feature's is [${shape.slice(0, 3)}]`);
  }
}
