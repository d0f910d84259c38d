/**
 * Logit distillation (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network",
 * 2015): the KL divergence between the class distributions at each position.
 *
 * N images, H W positions, K classes, P = N * H * W.
 *
 * loss = T^2 * mean over positions of KL(softmax(teacher / T) || softmax(student / T)).
 */
import { kernels, ops, scope, type Tensor } from '../tensor/index.js';
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
    const { kl_P, gradient_PK } = kernels().classKl(
      ops.reshape(student_NHWK, [rows, classes]),
      ops.reshape(teacher_NHWK, [rows, classes]),
      { inverseTemperature: 1 / temperature, factor: temperature / rows },
    );
    return {
      loss: (temperature ** 2 / rows) * sumInDouble(kl_P),
      gradient_NHWK: ops.reshape(gradient_PK, shape),
    };
  });
}
