/**
 * Tensors defined by a formula instead of stored values: golden/README.md, section 2.
 */
import { fnv1a } from '../random/fnv1a.js';
import { elementCount } from '../wire/safetensors.js';
import type { Float32HostTensor } from './operation.js';

export interface Recipe {
  readonly salt: string;
  readonly name: string;
  readonly shape: readonly number[];
  readonly low: number;
  readonly high: number;
}

/** The recipe's float32 values, C order. */
export function recipeValues({ salt, name, shape, low, high }: Recipe): Float32Array {
  const start = fnv1a(`${salt}/${name}`);
  const values = new Float32Array(elementCount(shape));
  for (let i = 0; i < values.length; i++) {
    const u = mix((start + Math.imul(i, 0x9e3779b9)) >>> 0) / 2 ** 31 - 1;
    values[i] = low + ((u + 1) / 2) * (high - low);
  }
  return values;
}

export function recipeTensor(recipe: Recipe): Float32HostTensor {
  return { data: recipeValues(recipe), shape: recipe.shape };
}

/** Parameters from which the weights of a whole network are computed. */
export interface WeightRecipe {
  readonly salt: string;
  readonly gain: number;
}

/** Values of one state-dict entry. Their range depends on its name and shape; the first match wins. */
export function weightValues(
  { salt, gain }: WeightRecipe,
  name: string,
  shape: readonly number[],
): Float32Array {
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (last === 'num_batches_tracked') return new Float32Array(elementCount(shape));
  const [low, high] = weightRange(last, shape, gain);
  return recipeValues({ salt, name, shape, low, high });
}

function weightRange(last: string, shape: readonly number[], gain: number): [number, number] {
  switch (last) {
    case 'running_mean':
    case 'bias':
      return [-0.1, 0.1];
    case 'running_var':
      return [0.8, 1.2];
    case 'weight': {
      if (shape.length === 1) return [0.9, 1.1];
      const limit = Math.sqrt(3 / elementCount(shape.slice(1))) * gain;
      return [-limit, limit];
    }
    default:
      throw new Error(`${last}: no rule for a state-dict entry of this name`);
  }
}

/** MurmurHash3's finaliser on 32 bits. */
function mix(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
