/** Operations on a tape: each computes its value and records its gradient. */
import type { RankGroup } from './kernels/sharedBatchNorm.js';
import { type Kernels, kernels } from './kernels/table.js';

export { batchNormInference } from './kernels/batchNorm.js';
export { leakyRelu, leakyReluTangent, relu, relu6 } from './ops/activation.js';
export { type AttentionOptions, attention } from './ops/attention.js';
export { type Attended, attentionTangent } from './ops/attentionTangent.js';
export { add, biasAdd, concat } from './ops/combine.js';
export { dropout } from './ops/dropout.js';
export { adaptiveAveragePool, globalAveragePool } from './ops/pooling.js';
export { resizeBilinearOnTape as resizeBilinear } from './ops/resize.js';
export { axisRange, reshape, transpose } from './ops/shapeOnTape.js';

export const multiHeadAttention: Kernels['multiHeadAttention'] = (...call) =>
  kernels().multiHeadAttention(...call);

export const gelu: Kernels['gelu'] = (...call) => kernels().gelu(...call);

export const layerNorm: Kernels['layerNorm'] = (...call) => kernels().layerNorm(...call);

export const conv2d: Kernels['conv2d'] = (...call) => kernels().conv2d(...call);

export const depthwiseConv2d: Kernels['depthwiseConv2d'] = (...call) =>
  kernels().depthwiseConv2d(...call);

export const maxPool: Kernels['maxPool'] = (...call) => kernels().maxPool(...call);

export const batchNormTraining: Kernels['batchNormTraining'] = (...call) =>
  kernels().batchNormTraining(...call);

export const sharedBatchNorm: Kernels['sharedBatchNorm'] = (...call) =>
  kernels().sharedBatchNorm(...call);

/** With the statistics of all ranks; undefined: with this process's own. */
export const batchNormOver = (
  ranks: RankGroup | undefined,
  ...[tape, x, weights, running, after]: Parameters<Kernels['batchNormTraining']>
): ReturnType<Kernels['batchNormTraining']> =>
  ranks === undefined
    ? batchNormTraining(tape, x, weights, running, after)
    : sharedBatchNorm(tape, x, weights, running, ranks, after);

export const normalisedConvolution: Kernels['normalisedConvolution'] = (...call) =>
  kernels().normalisedConvolution(...call);
