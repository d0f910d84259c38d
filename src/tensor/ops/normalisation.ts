/** TensorFlow's batch normalisation, channels last. */
import { attribute, executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

interface BatchNormResult {
  readonly y_NHWC: Tensor;
  /** In training: (1 - momentum) * given mean + momentum * batch mean. */
  readonly mean_C: Tensor;
  /** In training likewise, with the batch's unbiased variance (n / (n - 1)). */
  readonly variance_C: Tensor;
  /** Intermediate results for batchNormGrad. */
  readonly reserves: readonly [Tensor, Tensor, Tensor];
}

const normAttributes = (epsilon: number, training: boolean) => [
  attribute.type('T', 'float32'),
  attribute.type('U', 'float32'),
  attribute.float('epsilon', epsilon),
  attribute.string('data_format', 'NHWC'),
  attribute.bool('is_training', training),
];

/** Normalises with the batch's biased variance (training) or with the given mean and variance. */
export function batchNorm(
  x_NHWC: Tensor,
  scale_C: Tensor,
  offset_C: Tensor,
  mean_C: Tensor,
  variance_C: Tensor,
  options: { epsilon: number; training: boolean; momentum: number },
): BatchNormResult {
  const [y, mean, variance, ...reserves] = executeAll(
    'FusedBatchNormV3',
    [x_NHWC, scale_C, offset_C, mean_C, variance_C],
    [
      ...normAttributes(options.epsilon, options.training),
      attribute.float('exponential_avg_factor', options.training ? options.momentum : 1),
    ],
    6,
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  return { y_NHWC: y, mean_C: mean, variance_C: variance, reserves };
}

/**
 * Gradients with respect to x, scale and offset. Outside of training, the reserves are the given mean
 * and variance; the third isn't used, so the variance can be passed again.
 */
export function batchNormGrad(
  dy_NHWC: Tensor,
  x_NHWC: Tensor,
  scale_C: Tensor,
  reserves: readonly [Tensor, Tensor, Tensor],
  options: { epsilon: number; training: boolean },
): [dx_NHWC: Tensor, dscale_C: Tensor, doffset_C: Tensor] {
  return scope(() => {
    const [dx_NHWC, dscale_C, doffset_C] = executeAll(
      'FusedBatchNormGradV3',
      [dy_NHWC, x_NHWC, scale_C, ...reserves],
      normAttributes(options.epsilon, options.training),
      5,
    ) as [Tensor, Tensor, Tensor];
    return [dx_NHWC, dscale_C, doffset_C];
  });
}
