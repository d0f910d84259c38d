/**
 * KL divergences between softmaxes over the classes, one per position.
 *
 * P positions, K classes.
 *
 * The addon's kernel (../native/classKl.cc) passes over the logits once, TensorFlow's ops ten times.
 */
import { float32, scalar } from '../create.js';
import { executeAll } from '../execute.js';
import { mul, sub } from '../ops/elementwise.js';
import { softmax, softmaxCrossEntropy } from '../ops/softmax.js';
import { scope, type Tensor } from '../tensor.js';

export interface ClassKlOptions {
  /** 1 / T: both networks' logits are multiplied with it. */
  readonly inverseTemperature: number;
  /** Of the gradient. */
  readonly factor: number;
}

export interface ClassKl {
  /** float32 [P]: KL(softmax(teacher / T) || softmax(student / T)). */
  readonly kl_P: Tensor;
  /** float32 [P, K]: factor * (q - p), q the student's probabilities and p the teacher's. */
  readonly gradient_PK: Tensor;
}

/** Of logits float32 [P, K]. */
export type ClassKlKernel = (
  student_PK: Tensor,
  teacher_PK: Tensor,
  options: ClassKlOptions,
) => ClassKl;

/** CPU only. */
export const nativeClassKl: ClassKlKernel = (
  student_PK,
  teacher_PK,
  { inverseTemperature, factor },
) =>
  scope(() => {
    const numbers = float32(Float32Array.of(inverseTemperature, factor), [2]);
    const inputs = [student_PK, teacher_PK, numbers];
    const [gradient_PK, kl_P] = executeAll('CirkdClassKl', inputs, [], 2);
    return { kl_P: kl_P!, gradient_PK: gradient_PK! };
  });

/** Composed of TensorFlow's ops; any device. */
export const composedClassKl: ClassKlKernel = (
  student_PK,
  teacher_PK,
  { inverseTemperature, factor },
) =>
  scope(() => {
    const soften = (logits_PK: Tensor) => mul(logits_PK, scalar(inverseTemperature));
    const target_PK = soften(teacher_PK);
    const p_PK = softmax(target_PK);
    const entropy_P = softmaxCrossEntropy(target_PK, p_PK).loss_N;
    const { loss_N, gradient_NM } = softmaxCrossEntropy(soften(student_PK), p_PK);
    return { kl_P: sub(loss_N, entropy_P), gradient_PK: mul(gradient_NM, scalar(factor)) };
  });
