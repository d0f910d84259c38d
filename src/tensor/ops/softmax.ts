/** Softmax over the last axis of [N, M], and cross entropies with it. */
import { attribute, execute, executeAll } from '../execute.js';
import type { Tensor } from '../tensor.js';

export const softmax = (logits_NM: Tensor) =>
  execute('Softmax', [logits_NM], [attribute.type('T', logits_NM.dtype)]);

/** -sum p log softmax(logits) per row: loss [N] and gradient softmax - p, [N, M], in one kernel. */
export function softmaxCrossEntropy(
  logits_NM: Tensor,
  p_NM: Tensor,
): { loss_N: Tensor; gradient_NM: Tensor } {
  const [loss_N, gradient_NM] = executeAll(
    'SoftmaxCrossEntropyWithLogits',
    [logits_NM, p_NM],
    [attribute.type('T', logits_NM.dtype)],
    2,
  ) as [Tensor, Tensor];
  return { loss_N, gradient_NM };
}

/** The same for int32 class numbers [N], each in [0, M), in place of p. */
export function sparseSoftmaxCrossEntropy(
  logits_NM: Tensor,
  labels_N: Tensor,
): { loss_N: Tensor; gradient_NM: Tensor } {
  const [loss_N, gradient_NM] = executeAll(
    'SparseSoftmaxCrossEntropyWithLogits',
    [logits_NM, labels_N],
    [attribute.type('T', logits_NM.dtype), attribute.type('Tlabels', 'int32')],
    2,
  ) as [Tensor, Tensor];
  return { loss_N, gradient_NM };
}
