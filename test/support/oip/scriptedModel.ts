/**
 * A model whose answers follow from the image, in every data type and order of axes: numbers that are
 * exact in half precision, so that each encoding has to give them back bit for bit.
 */
import { encodeHalf } from '../../../src/wire/half.js';
import { narrowBfloat16 } from '../../../src/wire/bfloat16.js';
import type { ModelConfigInput } from '../../../src/oip/generated/inference/ModelConfig.js';
import type { ModelInferRequest } from '../../../src/oip/generated/inference/ModelInferRequest.js';
import type { ModelInferResponseInput } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import type { ServedModel } from './scriptedOipServer.js';

export const CLASSES = 3;
export const CHANNELS = 4;
export const STRIDE = 8;

const NAMES = { logits: 'logits', feature: 'feature' } as const;

export interface ModelShape {
  readonly name?: string;
  readonly version?: string;
  readonly input?: { readonly name?: string; readonly datatype?: string };
  readonly layout?: 'nchw' | 'nhwc';
  readonly outputLayout?: 'nchw' | 'nhwc';
  readonly outputDatatype?: 'FP32' | 'FP16' | 'BF16';
  readonly hasBatchAxis?: boolean;
  readonly hasFeature?: boolean;
  /** Names of the outputs; default: what they are. */
  readonly names?: { readonly logits: string; readonly feature: string };
  readonly stride?: number;
  readonly classes?: number;
  /** Sizes that the model takes alone; -1: any. */
  readonly size?: readonly [height: number, width: number];
  /** Whether answers are typed contents in place of raw ones. */
  readonly isTyped?: boolean;
  /** Whether metadata states inputs and outputs. */
  readonly statesTensors?: boolean;
  /** null: no ModelConfig. Default: none of ours. */
  readonly parameters?: Readonly<Record<string, unknown>> | null;
  readonly config?: ModelConfigInput;
}

/** Of the first bytes of the tensor that came, which tell images apart. */
export function seedOfBytes(bytes: Uint8Array): number {
  let seed = 0;
  for (const byte of bytes.subarray(0, 64)) seed = (seed * 31 + byte) % 509;
  return seed;
}

/** Value at a position and channel: a small integer, so exact in every data type. */
export function valueAt(seed: number, role: 'logits' | 'feature', p: number, c: number): number {
  const step = role === 'logits' ? 3 : 7;
  return ((seed + p * 5 + c * step) % 61) - 30;
}

export function scriptedModel(shape: ModelShape = {}): ServedModel {
  const {
    name = 'segmenter',
    version = '1',
    layout = 'nchw',
    hasBatchAxis = true,
    hasFeature = true,
    classes = CLASSES,
    size: [height, width] = [-1, -1],
    statesTensors = true,
    parameters = {},
    names = NAMES,
  } = shape;
  const { name: input = 'image', datatype = 'FP32' } = shape.input ?? {};
  const outputLayout = shape.outputLayout ?? layout;
  const outputDatatype = shape.outputDatatype ?? 'FP32';
  const batched = (sizes: number[]) => (hasBatchAxis ? [-1, ...sizes] : sizes);
  const map = (channels: number, h: number, w: number, order: 'nchw' | 'nhwc') =>
    order === 'nchw' ? [channels, h, w] : [h, w, channels];
  const roles = hasFeature ? (['logits', 'feature'] as const) : (['logits'] as const);
  const channelsOf = { logits: classes, feature: CHANNELS };
  return {
    metadata: {
      name,
      versions: [version],
      platform: 'scripted',
      inputs: statesTensors
        ? [{ name: input, datatype, shape: batched(map(3, height, width, layout)) }]
        : [],
      outputs: statesTensors
        ? roles.map((role) => ({
            name: names[role],
            datatype: outputDatatype,
            shape: batched(map(channelsOf[role], -1, -1, outputLayout)),
          }))
        : [],
    },
    config:
      parameters === null
        ? null
        : {
            name,
            platform: 'scripted',
            maxBatchSize: hasBatchAxis ? 8 : 0,
            parameters: Object.fromEntries(
              Object.entries(parameters).map(([key, value]) => [
                key,
                { stringValue: typeof value === 'string' ? value : JSON.stringify(value) },
              ]),
            ),
            ...shape.config,
          },
    answer: (request) =>
      answerOf(request, { ...shape, layout, outputLayout, outputDatatype, hasBatchAxis, classes }),
  };
}

function answerOf(
  request: ModelInferRequest,
  shape: ModelShape & Required<Pick<ModelShape, 'outputLayout' | 'outputDatatype' | 'classes'>>,
): ModelInferResponseInput {
  const {
    stride = STRIDE,
    layout,
    hasBatchAxis,
    hasFeature = true,
    isTyped = false,
    names = NAMES,
  } = shape;
  const image = request.inputs[0]!.shape.slice(-3);
  const [height, width] = layout === 'nchw' ? [image[1]!, image[2]!] : [image[0]!, image[1]!];
  const [h, w] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const seed = seedOfBytes(request.rawInputContents[0]!);
  const all = hasFeature ? (['logits', 'feature'] as const) : (['logits'] as const);
  const wanted = request.outputs.map(({ name }) => name);
  const roles = all.filter((role) => wanted.length === 0 || wanted.includes(names[role]));
  const tensors = roles.map((role) => {
    const channels = role === 'logits' ? shape.classes : CHANNELS;
    const isPlanes = shape.outputLayout === 'nchw';
    const values = Float32Array.from({ length: h * w * channels }, (_, i) => {
      const [p, c] = isPlanes
        ? [i % (h * w), Math.floor(i / (h * w))]
        : [Math.floor(i / channels), i % channels];
      return valueAt(seed, role, p, c);
    });
    const map = isPlanes ? [channels, h, w] : [h, w, channels];
    return { role, values, shape: hasBatchAxis ? [1, ...map] : map };
  });
  return {
    outputs: tensors.map(({ role, values, shape: sizes }) => ({
      name: names[role],
      datatype: shape.outputDatatype,
      shape: sizes,
      ...(isTyped ? { contents: { fp32Contents: [...values] } } : {}),
    })),
    rawOutputContents: isTyped
      ? []
      : tensors.map(({ values }) => bytesOf(values, shape.outputDatatype)),
  };
}

function bytesOf(values: Float32Array, datatype: 'FP32' | 'FP16' | 'BF16'): Buffer {
  if (datatype === 'FP32') return Buffer.from(values.buffer);
  const bits = datatype === 'FP16' ? encodeHalf(values) : narrowBfloat16(values);
  return Buffer.from(bits.buffer);
}
