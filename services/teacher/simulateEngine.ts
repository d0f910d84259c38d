/**
 * A made-up teacher: answers of the right sizes after a fixed time, without a network. For scaling
 * and fault tests, where the number of teachers matters and their skill doesn't.
 */
import { createHash } from 'node:crypto';
import type { TeacherInfo } from '../../src/distill/teacher.js';
import { dtypeOfOutput, type EncodedOutput, type OutputRequest } from '../../src/stream/names.js';
import { outputSize } from '../../src/wire/checkTensor.js';
import { encodeHalf } from '../../src/wire/half.js';
import type { EncodedTensor } from '../../src/wire/encodedTensor.js';
import type { Network, SimulateOptions, WorkerImage } from './workerProtocol.js';

/** Values repeat after so many elements: a prime, so that rows differ. */
const PATTERN_LENGTH = 4099;

export class SimulatedNetwork implements Network {
  readonly info: TeacherInfo;
  readonly #options: SimulateOptions;
  /** By output, encoding and size: made once, copied for each answer. */
  readonly #templates = new Map<string, EncodedOutput>();

  constructor(options: SimulateOptions) {
    this.#options = options;
    const { classes, featureChannels, outputStride } = options;
    const identity = JSON.stringify({ classes, featureChannels, outputStride });
    this.info = {
      digest: `sha256:${createHash('sha256').update(identity).digest('hex')}`,
      model: 'simulated',
      classes,
      featureChannels,
      outputStride,
      pixelMean: [123.675, 116.28, 103.53],
      pixelStd: [58.395, 57.12, 57.375],
      channelOrder: 'rgb',
      numericMode: 'simulated',
      classNames: [],
    };
  }

  /**
   * Blocks for the latency, as a network would. The same sizes give the same numbers, except
   * that every feature norm is 1 + (first byte of the image) / 256: it tells answers apart.
   */
  infer(images: readonly WorkerImage[], outputs: readonly OutputRequest[]): EncodedOutput[][] {
    sleep(this.#options.latencyMs);
    return images.map((image) => outputs.map((request) => this.#answer(image, request)));
  }

  classifier(): EncodedTensor {
    const { classes, featureChannels } = this.#options;
    const values = Float32Array.from({ length: classes * (featureChannels + 1) }, (_, i) =>
      pattern(i),
    );
    return { dtype: 'fp32', shape: [classes, featureChannels + 1], data: values.buffer };
  }

  dispose(): void {
    this.#templates.clear();
  }

  #answer(image: WorkerImage, request: OutputRequest): EncodedOutput {
    const { output, tensor } = this.#template(image, request);
    const data = tensor.data.slice(0);
    if (output === 'feature_norm') new Float32Array(data).fill(1 + (image.rgb[0] ?? 0) / 256);
    return { output, tensor: { ...tensor, data } };
  }

  #template(image: WorkerImage, request: OutputRequest): EncodedOutput {
    const key = `${image.height}x${image.width} ${request.output}:${request.encoding}`;
    const made = this.#templates.get(key) ?? this.#makeTemplate(image, request);
    this.#templates.set(key, made);
    return made;
  }

  #makeTemplate({ height, width }: WorkerImage, request: OutputRequest): EncodedOutput {
    const { classes, featureChannels, outputStride } = this.#options;
    const [h, w] = outputSize(height, width, outputStride);
    const { output } = request;
    if (output === 'feature_norm') return encoded(request, new Float32Array(h * w), [h, w]);
    if (output === 'logits') {
      const values = new Float32Array(h * w * classes).map((_, i) => pattern(i) * 4);
      return encoded(request, values, [h, w, classes]);
    }
    const rows = unitRows(h * w, featureChannels);
    if (output === 'embedding_scale') {
      return encoded(request, scalesOf(rows, featureChannels), [h, w]);
    }
    return encoded(request, rows, [h, w, featureChannels]);
  }
}

function encoded(request: OutputRequest, values: Float32Array, shape: number[]): EncodedOutput {
  const dtype = dtypeOfOutput(request);
  const data = dtype === 'int8' ? quantised(values, shape.at(-1)!) : floats(values, dtype);
  return { output: request.output, tensor: { dtype, shape, data } };
}

function floats(values: Float32Array, dtype: 'fp32' | 'fp16'): ArrayBuffer {
  return (dtype === 'fp16' ? encodeHalf(values) : values.slice()).buffer;
}

/** Of each row its largest size, in steps of int8. */
function scalesOf(rows: Float32Array, channels: number): Float32Array {
  return Float32Array.from({ length: rows.length / channels }, (_, row) => {
    const sizes = rows.subarray(row * channels, (row + 1) * channels).map(Math.abs);
    return sizes.reduce((most, size) => Math.max(most, size), 0) / 127;
  });
}

function quantised(rows: Float32Array, channels: number): ArrayBuffer {
  const scales = scalesOf(rows, channels);
  return Int8Array.from(rows, (x, i) => Math.round(x / scales[Math.floor(i / channels)]!)).buffer;
}

function unitRows(rows: number, channels: number): Float32Array {
  const values = new Float32Array(rows * channels).map((_, i) => pattern(i));
  for (let row = 0; row < rows; row++) {
    const features = values.subarray(row * channels, (row + 1) * channels);
    const norm = Math.sqrt(features.reduce((sum, value) => sum + value * value, 0));
    features.forEach((value, channel) => {
      features[channel] = value / Math.max(norm, 1e-12);
    });
  }
  return values;
}

/** -1..1, never 0. */
function pattern(index: number): number {
  return (((index % PATTERN_LENGTH) + 0.5) / PATTERN_LENGTH) * 2 - 1;
}

function sleep(milliseconds: number): void {
  if (milliseconds > 0) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  }
}
