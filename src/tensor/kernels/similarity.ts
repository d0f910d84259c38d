/**
 * Computations on tiles of similarity matrices, for KL divergences between their softmaxes, composed of TensorFlow's
 * ops: for devices without the kernels of similarityKl.ts.
 *
 * R rows and M columns per tile.
 */
import { add, exp, mul, sub } from '../ops/elementwise.js';
import { sum } from '../ops/reduce.js';
import { reshape } from '../ops/shape.js';
import { scope, type Tensor } from '../tensor.js';

export interface ExpSums {
  /** float32 [R]: sum of exp over the columns. */
  readonly rows_R: Tensor;
  /** float32 [M]: sum of exp over the rows. */
  readonly columns_M: Tensor;
}

export interface KlTileInput {
  /** Similarities, float32 [R, M]: the student's and the teacher's. */
  readonly student_RM: Tensor;
  readonly teacher_RM: Tensor;
  /** Reciprocals of the sums of exp over whole rows and columns; 0 leaves that direction out. */
  readonly studentRow_R: Tensor;
  readonly studentColumn_M: Tensor;
  readonly teacherRow_R: Tensor;
  readonly teacherColumn_M: Tensor;
}

export interface KlTile {
  /** float32 [R, M]: q - p, the gradient of the sum of KL(teacher || student) in both directions. */
  readonly gradient_RM: Tensor;
  /** float32 [1]: the sum of p (teacher - student). */
  readonly crossSum_1: Tensor;
}

export function expSums(similarity_RM: Tensor): ExpSums {
  return scope(() => {
    const exp_RM = exp(similarity_RM);
    return { rows_R: sum(exp_RM, [1]), columns_M: sum(exp_RM, [0]) };
  });
}

/** With p = exp(teacher) (teacherRow + teacherColumn), and q likewise for the student. */
export function klTile({ student_RM, teacher_RM, ...reciprocal }: KlTileInput): KlTile {
  return scope(() => {
    const [rows = 0, columns = 0] = student_RM.shape;
    const probability = (similarity_RM: Tensor, row_R: Tensor, column_M: Tensor) =>
      scope(() => {
        const factor_RM = add(reshape(row_R, [rows, 1]), reshape(column_M, [1, columns]));
        return mul(exp(similarity_RM), factor_RM);
      });
    const p_RM = probability(teacher_RM, reciprocal.teacherRow_R, reciprocal.teacherColumn_M);
    const q_RM = probability(student_RM, reciprocal.studentRow_R, reciprocal.studentColumn_M);
    const cross_RM = mul(p_RM, sub(teacher_RM, student_RM));
    return {
      gradient_RM: sub(q_RM, p_RM),
      crossSum_1: reshape(sum(cross_RM, [0, 1]), [1]),
    };
  });
}
