/** Layer normalisation over the last axis. Source: Ba et al., "Layer normalization" (2016). */
import { scalar } from '../create.js';
import { executeAll } from '../execute.js';
import { add, mul, rsqrt, square, sub } from '../ops/elementwise.js';
import { mean, sum } from '../ops/reduce.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { numbersOf } from './batchNorm.js';

/**
 * scale * (x - mean) / sqrt(variance + epsilon) + offset for each position, with its own mean and biased
 * variance over C.
 *
 * @param x [..., C]; scale and offset: [C]
 */
export type LayerNormKernel = (tape: Tape, x: Var, scale: Var, offset: Var, epsilon: number) => Var;

/** One kernel of the addon for each direction (../native/transformer/layerNorm.cc); CPU only. */
export const nativeLayerNorm: LayerNormKernel = (tape, x, scale, offset, epsilon) => {
  const [y, means, inverses] = scope(() =>
    executeAll('CirkdLayerNorm', [x.value, scale.value, offset.value, numbersOf(epsilon)], [], 3),
  ) as [Tensor, Tensor, Tensor];
  const saved = [x.value, scale.value, means, inverses];
  const out = tape.record(y, [x, scale, offset], saved, (dy) =>
    executeAll('CirkdLayerNormGrad', [dy, ...saved], [], 3),
  );
  // Held by the tape where it records.
  for (const tensor of [means, inverses]) tensor.dispose();
  return out;
};

/** Composed of TensorFlow's ops; any device. */
export const composedLayerNorm: LayerNormKernel = (tape, x, scale, offset, epsilon) => {
  const channel = x.shape.length - 1;
  const others = x.shape.slice(0, -1).map((_, axis) => axis);
  const { y, normed, inverse } = scope(() => {
    const centred = scope(() => sub(x.value, mean(x.value, [channel], true)));
    const inverse = scope(() =>
      rsqrt(add(mean(square(centred), [channel], true), scalar(epsilon))),
    );
    const normed = mul(centred, inverse);
    centred.dispose();
    return { y: add(mul(normed, scale.value), offset.value), normed, inverse };
  });
  const out = tape.record(y, [x, scale, offset], [normed, inverse, scale.value], (dy) => {
    const dx = () => inputGradient(mul(dy, scale.value), normed, inverse, channel);
    return [
      x.needsGradient ? scope(dx) : null,
      scale.needsGradient ? scope(() => sum(mul(dy, normed), others)) : null,
      offset.needsGradient ? sum(dy, others) : null,
    ];
  });
  // Held by the tape where it records.
  for (const tensor of [normed, inverse]) tensor.dispose();
  return out;
};

/** inverse * (d - mean(d) - normed * mean(d * normed)), means over the channels. */
function inputGradient(d: Tensor, normed: Tensor, inverse: Tensor, channel: number): Tensor {
  const along = scope(() => mul(normed, mean(mul(d, normed), [channel], true)));
  const centred = scope(() => sub(d, mean(d, [channel], true)));
  return mul(sub(centred, along), inverse);
}
