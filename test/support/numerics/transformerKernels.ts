/** The addon's kernels of transformers beside compositions of TensorFlow's ops: values and gradients. */
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  readFloat32,
  scope,
  Tape,
  type Var,
} from '../../../src/tensor/index.js';
import { type Input, randomInput } from './finiteDifference.js';

export interface KernelCase {
  readonly name: string;
  readonly inputs: readonly Input[];
  run(kernels: Kernels, tape: Tape, inputs: readonly Var[]): Var;
}

/** Fewer and more than a block of queries, a tile of keys and a vector of channels, with a rest of each. */
const ATTENTIONS = [
  { images: 2, queries: 37, keys: 19, heads: 3, depth: 5 },
  { images: 1, queries: 300, keys: 130, heads: 2, depth: 32 },
  { images: 2, queries: 64, keys: 1, heads: 1, depth: 33 },
  { images: 1, queries: 7, keys: 700, heads: 5, depth: 64 },
  { images: 1, queries: 1, keys: 2, heads: 1, depth: 1 },
] as const;

const LAYER_NORMS = [
  [3, 11, 33],
  [2, 9, 21, 160],
  [5, 7],
  [700, 32],
] as const;

const attentions = ATTENTIONS.map((size, index): KernelCase => {
  const { images, queries, keys, heads, depth } = size;
  const channels = heads * depth;
  const query = randomInput(10 * index, [images, queries, channels]);
  const rest = [1, 2].map((at) => randomInput(10 * index + at, [images, keys, channels]));
  return {
    name: `attention ${Object.values(size)}`,
    inputs: [query, ...rest],
    run: ({ multiHeadAttention }, tape, [q, k, v]) =>
      multiHeadAttention(tape, q!, k!, v!, { heads, factor: 2 * depth ** -0.5 }),
  };
});

const layerNorms = LAYER_NORMS.map((shape, index): KernelCase => {
  const channels = [shape.at(-1)!];
  const own = (at: number, size: readonly number[]) => randomInput(100 + 10 * index + at, size, 2);
  return {
    name: `layer norm ${shape}`,
    inputs: [own(0, shape), own(1, channels), own(2, channels)],
    run: ({ layerNorm }, tape, [x, scale, offset]) => layerNorm(tape, x!, scale!, offset!, 1e-6),
  };
});

const gelu: KernelCase = {
  name: 'GELU',
  inputs: [randomInput(200, [3, 1001], 3)],
  run: (kernels, tape, [x]) => kernels.gelu(tape, x!),
};

const biased = (['conv2d', 'depthwiseConv2d'] as const).map((kernel, index): KernelCase => {
  const weights = kernel === 'conv2d' ? [3, 3, 21, 37] : [3, 3, 21, 1];
  const outputs = kernel === 'conv2d' ? 37 : 21;
  const shapes = [[2, 9, 7, 21], weights, [outputs]];
  return {
    name: `${kernel} with a bias`,
    inputs: shapes.map((shape, at) => randomInput(300 + 10 * index + at, shape)),
    run: (kernels, tape, [x, w, b]) =>
      kernels[kernel](tape, x!, w!, { stride: 1, dilation: 1, padding: 1 }, b!),
  };
});

export const TRANSFORMER_CASES: readonly KernelCase[] = [
  ...attentions,
  ...layerNorms,
  gelu,
  ...biased,
];

/** The value, then the gradient of each input. */
export function resultsOf(kernels: Kernels, { inputs, run }: KernelCase): Float32Array[] {
  return scope(() => {
    const tape = new Tape(true);
    const leaves = inputs.map(({ values, shape }) => tape.leaf(float32(values.slice(), shape)));
    const y = run(kernels, tape, leaves);
    const value = readFloat32(y.value);
    const seed = float32(randomInput(999, y.shape).values, y.shape);
    const gradients = tape.backward([[y, seed]]).leaves;
    return [value, ...leaves.map((leaf) => readFloat32(gradients.get(leaf)!))];
  });
}

export interface KernelDistance {
  readonly name: string;
  /** Largest difference of value and gradients, each by its largest element; null: of other sizes, or not finite. */
  readonly worst: number | null;
}

export function distancesFromTensorflow(): KernelDistance[] {
  return TRANSFORMER_CASES.map((each) => {
    const [own, wanted] = [resultsOf(nativeKernels, each), resultsOf(composedKernels, each)];
    return { name: each.name, worst: worstDistance(own, wanted) };
  });
}

/** null: of other sizes, or not finite. */
export function worstDistance(
  own: readonly Float32Array[],
  wanted: readonly Float32Array[],
): number | null {
  const worst = Math.max(...wanted.map((values, index) => distance(own[index]!, values)));
  return Number.isFinite(worst) ? worst : null;
}

/** Where the largest element is less than 1, by 1: some gradients are 0 but for rounding, as of a single key. */
function distance(own: Float32Array, wanted: Float32Array): number {
  if (own.length !== wanted.length) return Number.POSITIVE_INFINITY;
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(own[i]! - value) / largest), 0);
}
