/** Makes a model's input of an image: R G B bytes to its data type, normalisation and order of axes. */
import { encodeHalf } from '../../wire/half.js';
import { narrowBfloat16 } from '../../wire/bfloat16.js';
import type { ModelInput } from './modelInput.js';
import type { InputDatatype } from './settings.js';

type Values = Float32Array | Uint16Array | Uint8Array;

const CHANNELS = 3;

export interface InputPixels {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B */
  readonly rgb: Uint8Array;
}

/**
 * Makes inputs of one model. Each value is the float32 result of (byte - mean) / std, as the networks of
 * this project compute it, rounded to the input's data type. Of a channel's 256 possible values each is
 * computed once.
 */
export class PixelEncoder {
  readonly #input: Pick<ModelInput, 'datatype' | 'layout'>;
  /** A table for each channel, in the model's order: the value of each byte. */
  readonly #tables: readonly Values[];
  /** The place of each of the model's channels in R G B. */
  readonly #sources: readonly number[];

  constructor({ datatype, layout, pixels }: Pick<ModelInput, 'datatype' | 'layout' | 'pixels'>) {
    const { pixelMean, pixelStd, channelOrder } = pixels;
    this.#input = { datatype, layout };
    this.#sources = channelOrder === 'rgb' ? [0, 1, 2] : [2, 1, 0];
    this.#tables = pixelMean.map((mean, c) => tableOf(datatype, mean, pixelStd[c]!));
  }

  /** Little-endian, row-major: [3, H, W] or [H, W, 3]. For raw pixels that is `rgb` itself. */
  encode({ height, width, rgb }: InputPixels): Uint8Array {
    const { datatype, layout } = this.#input;
    if (datatype === 'UINT8' && layout === 'nhwc' && this.#sources[0] === 0) return rgb;
    const pixels = height * width;
    const values = emptyValues(datatype, CHANNELS * pixels);
    const [channelStep, pixelStep] = layout === 'nchw' ? [pixels, 1] : [1, CHANNELS];
    for (let c = 0; c < CHANNELS; c++) {
      const table = this.#tables[c]!;
      const first = c * channelStep;
      const source = this.#sources[c]!;
      for (let i = 0; i < pixels; i++) {
        values[first + i * pixelStep] = table[rgb[CHANNELS * i + source]!]!;
      }
    }
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
}

const BYTES: Readonly<Record<InputDatatype, number>> = { FP32: 4, FP16: 2, BF16: 2, UINT8: 1 };

/** Bytes of one image as the model's input. */
export function inputBytes(datatype: InputDatatype, height: number, width: number): number {
  return BYTES[datatype] * CHANNELS * height * width;
}

function tableOf(datatype: InputDatatype, mean: number, std: number): Values {
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  if (datatype === 'UINT8') return bytes;
  const { fround } = Math;
  // Rounding each operation to float32 gives what float32 arithmetic gives.
  const floats = Float32Array.from(bytes, (byte) => fround(byte - fround(mean)) / fround(std));
  if (datatype === 'FP32') return floats;
  return datatype === 'FP16' ? encodeHalf(floats) : narrowBfloat16(floats);
}

function emptyValues(datatype: InputDatatype, length: number): Values {
  if (datatype === 'FP32') return new Float32Array(length);
  return datatype === 'UINT8' ? new Uint8Array(length) : new Uint16Array(length);
}
