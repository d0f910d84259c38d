/** Initial weights of an untrained network. */
import { drawsFor } from '../random/draws.js';
import { fnv1a } from '../random/fnv1a.js';
import type { Initialisation, WeightSource } from './builder.js';
import type { EntryRole } from './layout.js';

/** Standard deviation of the classifiers of mmsegmentation and SegFormer. */
const CLASSIFIER_STD = 0.01;

/** Of SegFormer's linear layers: timm's trunc_normal_(std=0.02), whose bounds of -2 and 2 cut nothing. */
const LINEAR_STD = 0.02;

/**
 * The distributions of the code that each part comes from:
 *
 * - `backbone` (ResNet, MobileNetV2): normal with variance 2 / fan-out (He et al., "Delving deep into rectifiers",
 *   ICCV 2015). The fan-out is that of an undivided convolution, for depthwise ones too.
 * - `module` (the other heads, projections): what PyTorch's Conv2d draws, uniform within 1 / sqrt(fan-in).
 * - `transformer` and `mmsegmentation_head`: normal with variance 2 / fan-out, classifiers and linear layers as above.
 *
 * Biases are 0, norms the identity. Each entry is a pure function of the seed and its name, so networks that share names
 * share weights.
 */
export function initialWeights(seed: number): WeightSource {
  return (name, shape, role, initialisation) => {
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    switch (role) {
      case 'norm_scale':
      case 'running_var':
        return values.fill(1);
      case 'bias':
      case 'norm_offset':
      case 'running_mean':
        return values;
    }
    const draws = drawsFor(seed, 'init', fnv1a(name));
    if (role === 'singular_vector') {
      draws.fillNormal(values, 0, 1);
      return unit(values);
    }
    const std = normalStd(shape, role, initialisation);
    if (std !== null) {
      draws.fillNormal(values, 0, std);
      return values;
    }
    const bound = 1 / Math.sqrt(shape[1]! * kernelArea(shape));
    draws.fillUniform(values, -bound, bound);
    return values;
  };
}

/** null: drawn uniformly. */
function normalStd(
  shape: readonly number[],
  role: EntryRole,
  initialisation: Initialisation,
): number | null {
  if (role === 'linear') return LINEAR_STD;
  if (initialisation === 'module') return null;
  if (role === 'classifier') return CLASSIFIER_STD;
  // SegFormer's code divides the fan-out by the groups.
  const isDivided = role === 'depthwise' && initialisation === 'transformer';
  return Math.sqrt(2 / ((isDivided ? 1 : shape[0]!) * kernelArea(shape)));
}

const kernelArea = ([, , height = 1, width = 1]: readonly number[]) => height * width;
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
  return (name, shape, role, initialisation) => {
    const fanIn = fanInOf(name);
    if (fanIn === null) return others(name, shape, role, initialisation);
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
