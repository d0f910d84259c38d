/**
 * The smallest segmentation graph: a convolution of 8 x 8 with stride 8 and ReLU for the feature, a 1 x 1
 * convolution for the logits, of ceil(height / 8) x ceil(width / 8) positions; and what it computes.
 */
import { drawsFor } from '../../../src/random/draws.js';
import {
  encodeOnnx,
  type OnnxDType,
  type OnnxNode,
  type OnnxValue,
  type OnnxWeights,
} from './onnxWriter.js';

export const STRIDE = 8;

export interface TinyGraph {
  readonly classes?: number;
  readonly channels?: number;
  readonly seed?: number;
  readonly layout?: 'nchw' | 'nhwc';
  readonly dtype?: OnnxDType;
  /** Names of logits and feature; null: no such output. */
  readonly names?: readonly [logits: string, feature: string | null];
  readonly batch?: number | string;
  readonly size?: readonly [number | string, number | string];
  readonly opsets?: Readonly<Record<string, number>>;
  /** Put in place of ReLU. */
  readonly activation?: Pick<OnnxNode, 'op' | 'domain'>;
  /** The first convolution's weights lie in a file of this name. */
  readonly externalFile?: string;
}

export interface TinyWeights {
  /** [D, 3, 8, 8] and [K, D, 1, 1], [K] */
  readonly feature: Float32Array;
  readonly logits: Float32Array;
  readonly bias: Float32Array;
}

const DEFAULTS = { classes: 12, channels: 16, seed: 1 } as const;

function tinyWeights(graph: TinyGraph = {}): TinyWeights {
  const { classes, channels, seed } = { ...DEFAULTS, ...graph };
  const drawn = (index: number, length: number, scale: number) => {
    const draws = drawsFor(seed, 'test', index);
    return Float32Array.from({ length }, () => (draws.uniform() * 2 - 1) * scale);
  };
  return {
    feature: drawn(1, channels * 3 * STRIDE * STRIDE, 0.1),
    logits: drawn(2, classes * channels, 0.5),
    bias: drawn(3, classes, 0.5),
  };
}

/** The .onnx file's bytes, and those of the external file. */
export function tinyOnnx(graph: TinyGraph = {}): { model: Uint8Array; external: Uint8Array } {
  const {
    classes,
    channels,
    layout = 'nchw',
    dtype = 'float32',
    names = ['logits', 'feature'],
  } = {
    ...DEFAULTS,
    ...graph,
  };
  const { batch = 'n', size = ['h', 'w'], externalFile, opsets } = graph;
  const weights = tinyWeights(graph);
  const shape = (depth: number, [h, w]: readonly (number | string)[]) =>
    layout === 'nchw' ? [batch, depth, h!, w!] : [batch, h!, w!, depth];
  const map = size.map((each) =>
    typeof each === 'number' ? Math.ceil(each / STRIDE) : `${each}8`,
  );
  const output = (name: string | null, depth: number): OnnxValue[] =>
    name === null
      ? []
      : [{ name, dtype: dtype === 'float16' ? dtype : 'float32', shape: shape(depth, map) }];
  const bytes = new Uint8Array(weights.feature.buffer);
  const external = { location: externalFile ?? '', offset: 0, length: bytes.length };
  const stored: OnnxWeights[] = [
    {
      name: 'w1',
      shape: [channels, 3, STRIDE, STRIDE],
      values: weights.feature,
      ...(externalFile === undefined ? {} : { external }),
    },
    { name: 'w2', shape: [classes, channels, 1, 1], values: weights.logits },
    { name: 'b2', shape: [classes], values: weights.bias },
  ];
  const model = encodeOnnx({
    inputs: [{ name: 'image', dtype, shape: shape(3, size) }],
    outputs: [...output(names[0], classes), ...output(names[1], channels)],
    nodes: nodesOf(graph, layout, dtype, names),
    weights: stored,
    ...(opsets === undefined ? {} : { opsets }),
  });
  return { model, external: bytes };
}

function nodesOf(
  { activation = { op: 'Relu' } }: TinyGraph,
  layout: 'nchw' | 'nhwc',
  dtype: OnnxDType,
  [logits, feature]: readonly [string, string | null],
): OnnxNode[] {
  const pass = (inputs: string[], outputs: string[], op: string, attributes = {}): OnnxNode => ({
    ...{ op, inputs, outputs, attributes },
  });
  const out = (from: string, to: string): OnnxNode[] => [
    pass([from], [`${from}_t`], ...toOut(layout)),
    pass([`${from}_t`], [to], 'Cast', { to: dtype === 'float16' ? 10 : 1 }),
  ];
  return [
    pass(['image'], ['float'], 'Cast', { to: 1 }),
    pass(['float'], ['nchw'], ...toIn(layout)),
    pass(['nchw', 'w1'], ['c1'], 'Conv', { strides: [STRIDE, STRIDE], pads: [0, 0, 7, 7] }),
    { ...activation, inputs: ['c1'], outputs: ['f'] },
    pass(['f', 'w2', 'b2'], ['l'], 'Conv'),
    ...out('l', logits),
    ...(feature === null ? [] : out('f', feature)),
  ];
}

type OpOf = [op: string, attributes: Record<string, readonly number[]>];
const toIn = (layout: string): OpOf =>
  layout === 'nchw' ? ['Identity', {}] : ['Transpose', { perm: [0, 3, 1, 2] }];
const toOut = (layout: string): OpOf =>
  layout === 'nchw' ? ['Identity', {}] : ['Transpose', { perm: [0, 2, 3, 1] }];

/** For one image of normalised pixels [H, W, 3]: feature [h, w, D] and logits [h, w, K], in double precision. */
export function tinyForward(
  graph: TinyGraph,
  image: { readonly height: number; readonly width: number; readonly pixels: ArrayLike<number> },
): { feature: Float64Array; logits: Float64Array } {
  const { classes, channels } = { ...DEFAULTS, ...graph };
  const { feature: w1, logits: w2, bias } = tinyWeights(graph);
  const { height, width, pixels } = image;
  const [h, w] = [Math.ceil(height / STRIDE), Math.ceil(width / STRIDE)];
  const feature = new Float64Array(h * w * channels);
  const logits = new Float64Array(h * w * classes);
  for (let at = 0; at < h * w; at++) {
    const [top, left] = [Math.floor(at / w) * STRIDE, (at % w) * STRIDE];
    for (let d = 0; d < channels; d++) {
      let sum = 0;
      for (let tap = 0; tap < STRIDE * STRIDE; tap++) {
        const [y, x] = [top + Math.floor(tap / STRIDE), left + (tap % STRIDE)];
        if (y >= height || x >= width) continue;
        for (let c = 0; c < 3; c++) {
          sum += pixels[(y * width + x) * 3 + c]! * w1[(d * 3 + c) * STRIDE * STRIDE + tap]!;
        }
      }
      feature[at * channels + d] = Math.max(0, sum);
    }
    for (let k = 0; k < classes; k++) {
      let sum = bias[k]!;
      for (let d = 0; d < channels; d++) sum += feature[at * channels + d]! * w2[k * channels + d]!;
      logits[at * classes + k] = sum;
    }
  }
  return { feature, logits };
}
