/**
 * Logit distillation (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network",
 * 2015): the KL divergence between the class distributions at each position.
 *
 * N images, H W positions, K classes, P = N * H * W.
 *
 * loss = T^2 * mean over positions of KL(softmax(teacher / T) || softmax(student / T)).
 */
import { ops, scalar, scope, type Tensor } from '../tensor/index.js';
import { sumInDouble } from './rowSum.js';

export interface LogitsKdLoss {
  readonly loss: number;
  /** float32 [N, H, W, K], with respect to the student's logits. */
  readonly gradient_NHWK: Tensor;
}

/** Throws RangeError if the shapes differ. */
export function logitsKd(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  temperature: number,
): LogitsKdLoss {
  const { shape, size } = student_NHWK;
  if (shape.join() !== teacher_NHWK.shape.join()) {
    throw new RangeError(`teacher logits: shape [${teacher_NHWK.shape}], student's is [${shape}]`);
  }
  return scope(() => {
    const classes = shape.at(-1)!;
    const rows = size / classes;
    const invTemperature = scalar(1 / temperature);
    const soften = (logits: Tensor) =>
      ops.mul(ops.reshape(logits, [rows, classes]), invTemperature);
    const teacher_PK = soften(teacher_NHWK);
    const p_PK = ops.softmax(teacher_PK);
    const entropy_P = ops.softmaxCrossEntropy(teacher_PK, p_PK).loss_N;
    const { loss_N, gradient_NM } = ops.softmaxCrossEntropy(soften(student_NHWK), p_PK);
    const gradient_PK = ops.mul(gradient_NM, scalar(temperature / rows));
    return {
      loss: (temperature ** 2 / rows) * sumInDouble(ops.sub(loss_N, entropy_P)),
      gradient_NHWK: ops.reshape(gradient_PK, shape),
    };
  });
}
