/**
 * This side of the comparison with PyTorch: weights, image, outputs and gradients as flat arrays, in
 * the order in which zooPeer.py writes them.
 */
import { recipeValues, weightValues } from '../../src/conformance/recipe.js';
import { StagedBuffers } from '../../src/models/buffers.js';
import type { WeightSource } from '../../src/models/builder.js';
import { inferenceContext } from '../../src/models/context.js';
import { namedCount, namedFloats } from '../../src/models/namedValues.js';
import type { NetworkOutputs, SegmentationNetwork } from '../../src/models/network.js';
import { float32, ops, readFloat32, scope, Tape, type Tensor } from '../../src/tensor/index.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';

const AUX_WEIGHT = 0.4;

/** What shared/golden's networks have: running statistics and offsets that aren't trivial. */
export const recipeWeights: WeightSource = (name, shape) =>
  weightValues({ salt: 'interop', gain: 1.2 }, name, shape);

export function imageValues(shape: readonly number[]): Float32Array {
  return recipeValues({ salt: 'interop', name: 'image', shape, low: -2, high: 2 });
}

/** Logits, feature and, where there are any, auxiliary logits. */
export function evaluated(network: SegmentationNetwork, shape: readonly number[]): Float32Array[] {
  const context = inferenceContext();
  try {
    return scope(() => {
      const input = context.tape.constant(float32(imageValues(shape), shape));
      return inOrder(network.forward(context, input)).map(({ value }) => readFloat32(value));
    });
  } finally {
    context.tape.dispose();
  }
}

/** Logits at the image's size. */
export function segmented(network: SegmentationNetwork, shape: readonly number[]): Float32Array {
  const context = inferenceContext();
  const [, height = 0, width = 0] = shape;
  try {
    return scope(() => {
      const input = context.tape.constant(float32(imageValues(shape), shape));
      const { logits } = network.forward(context, input, { aux: false });
      return readFloat32(ops.resizeBilinear(logits.value, height, width, network.alignCorners));
    });
  } finally {
    context.tape.dispose();
  }
}

export interface TrainedArrays {
  /** Of the loss that zooPeer.py has, by parameter. */
  readonly gradients: readonly [name: string, values: Float32Array][];
  /** Running statistics and batch counts after one forward pass. */
  readonly buffers: readonly [name: string, values: Float32Array][];
}

/** One pass in training mode without dropout. The network's buffers change. */
export function trained(network: SegmentationNetwork, shape: readonly number[]): TrainedArrays {
  const staged = new StagedBuffers();
  const tape = new Tape(true);
  const gradients = scope(() => {
    const context = { tape, training: true, dropoutSeed: null, staged };
    const outputs = network.forward(context, tape.constant(float32(imageValues(shape), shape)));
    const seeds = [[outputs.logits, cotangent(outputs.logits.shape, 1)] as const];
    const { aux } = outputs;
    if (aux !== null) seeds.push([aux, cotangent(aux.shape, AUX_WEIGHT)]);
    const { parameters } = tape.backward(seeds);
    return network.parameters().map((parameter): [string, Float32Array] => {
      const gradient = network.officialLayout(parameter, parameters.get(parameter)!);
      return [parameter.name, namedFloats(parameter.name, gradient)];
    });
  });
  staged.commit();
  const learnt = new Set(network.parameters().map(({ name }) => name));
  const state = [...network.stateDict()].filter(([name]) => !learnt.has(name));
  return { gradients, buffers: state.map(([name, tensor]) => [name, numbersOf(name, tensor)]) };
}

function inOrder({ logits, feature, aux }: NetworkOutputs) {
  return aux === null ? [logits, feature] : [logits, feature, aux];
}

/** Derivative of the loss by an output: a fixed zigzag, as in zooPeer.py. */
function cotangent(shape: readonly number[], weight: number): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 1009) / 504.5 - 1);
  return float32(
    values.map((value) => weight * value),
    shape,
  );
}

function numbersOf(name: string, tensor: NamedTensor): Float32Array {
  return tensor.dtype === 'I64'
    ? Float32Array.of(namedCount(name, tensor))
    : namedFloats(name, tensor);
}
