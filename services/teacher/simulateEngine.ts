/**
 * A simulated teacher: answers of the right sizes after a fixed time, without a network. For scaling
 * and fault tests, where the number of teachers matters and their accuracy doesn't. Every answer is a
 * function of its image, so an answer assigned to the wrong image changes the student's weights.
 */
import { createHash } from 'node:crypto';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import {
  dtypeOfOutput,
  type EncodedOutput,
  type OutputRequest,
} from '../../src/contract/outputs.js';
import { outputSize } from '../../src/wire/checkTensor.js';
import { crc32c } from '../../src/wire/crc32c.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import { encodeHalf } from '../../src/wire/half.js';
import { block } from './block.js';
import type { Network, SimulateOptions, WorkerImage } from './workerProtocol.js';

/** Period of the values, in elements: a prime, so that rows and seeds differ. */
const PATTERN_LENGTH = 4099;
/** Step through the pattern per element, so that neighbours differ much. */
const PATTERN_STRIDE = 1231;

/** A template has this many more positions than an answer, which begins at one of them. */
const SPARE_POSITIONS = 1021;

export class SimulatedNetwork implements Network {
  readonly info: TeacherInfo;
  readonly #options: SimulateOptions;
  /**
   * One template per output and encoding, for the largest image so far: an answer is a copy of a part
   * of it, the same whatever the template's size. One per image size would let clients fill the memory.
   */
  readonly #templates = new Map<string, EncodedOutput>();

  constructor(options: SimulateOptions) {
    this.#options = options;
    const { classes, featureChannels, outputStride, seed } = options;
    const identity = JSON.stringify({ classes, featureChannels, outputStride, seed });
    this.info = {
      digest: `sha256:${createHash('sha256').update(identity).digest('hex')}`,
      model: 'simulated',
      classes,
      featureChannels,
      hasAuxLogits: true,
      outputStride,
      pixelMean: [123.675, 116.28, 103.53],
      pixelStd: [58.395, 57.12, 57.375],
      channelOrder: 'rgb',
      alignCorners: true,
      numericMode: 'simulated',
      classNames: [],
    };
  }

  /**
   * Blocks for the latency, as a network would. The image's checksum selects the position in the
   * template where the answer begins; every feature norm is 1 + (first byte of the image) / 256.
   */
  infer(images: readonly WorkerImage[], outputs: readonly OutputRequest[]): EncodedOutput[][] {
    const { latencyMs, imageMs } = this.#options;
    block(latencyMs + imageMs * images.length);
    return images.map((image) => {
      const position = crc32c(image.rgb) % SPARE_POSITIONS;
      return outputs.map((request) => this.#answer(image, request, position));
    });
  }

  classifier(): EncodedTensor | null {
    const { classes, featureChannels } = this.#options;
    if (featureChannels === 0) return null;
    const values = this.#pattern(classes * (featureChannels + 1));
    return { dtype: 'fp32', shape: [classes, featureChannels + 1], data: values.buffer };
  }

  dispose(): void {
    this.#templates.clear();
  }

  #answer(image: WorkerImage, request: OutputRequest, position: number): EncodedOutput {
    const { height, width, rgb } = image;
    const { outputStride } = this.#options;
    const [h, w] = outputSize(height, width, outputStride);
    const { output, tensor } = this.#template(h * w, request);
    const positionBytes = tensor.data.byteLength / tensor.shape[0]!;
    const data = tensor.data.slice(position * positionBytes, (position + h * w) * positionBytes);
    if (output === 'feature_norm') new Float32Array(data).fill(1 + (rgb[0] ?? 0) / 256);
    return { output, tensor: { ...tensor, shape: [h, w, ...tensor.shape.slice(1)], data } };
  }

  /** Shape: [at least positions + SPARE_POSITIONS, channels], without channels for norms and scales. */
  #template(positions: number, request: OutputRequest): EncodedOutput {
    const key = `${request.output}:${request.encoding}`;
    const rows = positions + SPARE_POSITIONS;
    const made = this.#templates.get(key);
    if (made !== undefined && made.tensor.shape[0]! >= rows) return made;
    const larger = this.#makeTemplate(rows, request);
    this.#templates.set(key, larger);
    return larger;
  }

  #makeTemplate(rows: number, request: OutputRequest): EncodedOutput {
    const { classes, featureChannels } = this.#options;
    const { output } = request;
    if (output === 'feature_norm') return encoded(request, new Float32Array(rows), [rows]);
    if (output === 'aux_norm') {
      return encoded(
        request,
        this.#pattern(rows).map((value) => value + 2),
        [rows],
      );
    }
    if (output === 'logits') {
      const values = this.#pattern(rows * classes).map((value) => value * 4);
      return encoded(request, values, [rows, classes]);
    }
    const unit = unitRows(this.#pattern(rows * featureChannels), featureChannels);
    if (output === 'embedding_scale') {
      return encoded(request, scalesOf(unit, featureChannels), [rows]);
    }
    return encoded(request, unit, [rows, featureChannels]);
  }

  /** Values between -1 and 1, never 0. Each seed steps through them with its own stride. */
  #pattern(length: number): Float32Array<ArrayBuffer> {
    const stride = (PATTERN_STRIDE * (1 + this.#options.seed)) % PATTERN_LENGTH;
    return Float32Array.from({ length }, (_, index) => {
      const at = (index * stride) % PATTERN_LENGTH;
      return ((at + 0.5) / PATTERN_LENGTH) * 2 - 1;
    });
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

/** The int8 step of each row: its largest magnitude over 127. */
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

/** Scales every row to length 1, in place. */
function unitRows(values: Float32Array, channels: number): Float32Array {
  for (let at = 0; at < values.length; at += channels) {
    const row = values.subarray(at, at + channels);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    row.forEach((value, channel) => {
      row[channel] = value / Math.max(norm, 1e-12);
    });
  }
  return values;
}
