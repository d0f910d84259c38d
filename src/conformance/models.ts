/** Networks of golden cases, with weights from the recipe. */
import type { WeightSource } from '../models/builder.js';
import { SegmentationNetwork } from '../models/network.js';
import type { ModelName, NetworkSpec, Variant } from '../models/spec.js';
import { checkSpec } from '../models/zoo.js';
import type { NamedTensor } from '../wire/safetensors.js';
import { hostTensor } from './hostTensor.js';
import { type GoldenCase, GoldenError, type HostTensor, UnsupportedError } from './operation.js';
import { type WeightRecipe, weightValues } from './recipe.js';

/** The case's network. Throws UnsupportedError if this program doesn't have the model. */
export function goldenNetwork(golden: GoldenCase): SegmentationNetwork {
  const spec: NetworkSpec = {
    model: golden.text('model') as ModelName,
    backbone: golden.text('backbone'),
    variant: golden.text('variant') as Variant,
    numClasses: golden.number('num_classes'),
    widthMultiplier: 1,
  };
  try {
    checkSpec(spec);
  } catch (error) {
    throw new UnsupportedError((error as Error).message);
  }
  return SegmentationNetwork.create(spec, goldenWeights(golden, 'weights'));
}

/** Throws UnsupportedError for a case that is not about inference. */
export function requireEvalMode(golden: GoldenCase): void {
  const { mode } = golden.params;
  if (mode !== undefined && mode !== 'eval') throw new UnsupportedError(`mode: ${mode}`);
}

/** Weights by the recipe for names and shapes, with salt and gain from `param`. */
export function goldenWeights(golden: GoldenCase, param: string): WeightSource {
  const { salt, gain } = (golden.params[param] ?? {}) as Partial<WeightRecipe>;
  if (typeof salt !== 'string' || typeof gain !== 'number') {
    throw new GoldenError(`${golden.name}: params.${param}: salt and gain wanted`);
  }
  return (name, shape) => weightValues({ salt, gain }, name, shape);
}

/** Entries of a state dict as results; the int64 counts stay exact. */
export function stateResults(
  prefix: string,
  state: ReadonlyMap<string, NamedTensor>,
): [string, HostTensor][] {
  return [...state].map(([name, tensor]) => [`${prefix}${name}`, hostTensor(tensor)]);
}
