/** Initial weights of an untrained network. */
import { drawsFor } from '../random/draws.js';
import { fnv1a } from '../random/fnv1a.js';
import type { WeightSource } from './builder.js';

/** Standard deviation of a classifier's weights: the first predictions are close to uniform. */
const CLASSIFIER_STD = 0.01;

/** Of linear layers: timm's trunc_normal_(std=0.02), whose bounds of -2 and 2 cut nothing. */
const LINEAR_STD = 0.02;

/**
 * Convolutions: normal with variance 2 / fan-out (He et al., "Delving deep into rectifiers",
 * ICCV 2015), linear layers: normal with deviation 0.02 (SegFormer's code), norms: the identity. Each entry is a pure function of the seed and its name, so
 * networks that share names share weights.
 */
export function initialWeights(seed: number): WeightSource {
  return (name, shape, role) => {
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const normal = (std: number) => {
      drawsFor(seed, 'init', fnv1a(name)).fillNormal(values, 0, std);
      return values;
    };
    switch (role) {
      case 'convolution':
        return normal(Math.sqrt(2 / (shape[0]! * shape[2]! * shape[3]!)));
      case 'depthwise':
        return normal(Math.sqrt(2 / (shape[2]! * shape[3]!)));
      case 'linear':
        return normal(LINEAR_STD);
      case 'classifier':
        return normal(CLASSIFIER_STD);
      case 'norm_scale':
      case 'running_var':
        return values.fill(1);
      case 'singular_vector':
        return unit(normal(1));
      case 'bias':
      case 'norm_offset':
      case 'running_mean':
        return values;
    }
  };
}

/**
 * PyTorch's defaults for convolutions: weights and biases uniform up to 1 / sqrt(fan-in of the layer),
 * everything else as initialWeights has it.
 *
 * @param fanInOf of the layer that the full name of a weight or bias is of; null: it is of no convolution
 */
export function uniformWeights(
  seed: number,
  fanInOf: (name: string) => number | null,
): WeightSource {
  const others = initialWeights(seed);
  return (name, shape, role) => {
    const fanIn = fanInOf(name);
    if (fanIn === null) return others(name, shape, role);
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const bound = 1 / Math.sqrt(fanIn);
    drawsFor(seed, 'init', fnv1a(name)).fillUniform(values, -bound, bound);
    return values;
  };
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
