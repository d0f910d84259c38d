/** Unit rows in one typed array on the host, fp32 or fp16. */
import { floatFromHalf, halfFromFloat } from '../wire/half.js';
import type { NamedTensor } from '../wire/safetensors.js';

export type Precision = 'fp32' | 'fp16';

const DTYPE = { fp32: 'F32', fp16: 'F16' } as const;

export class RowStore {
  readonly channels: number;
  readonly precision: Precision;
  readonly #data: Float32Array | Uint16Array;

  /** All rows zero; pages that are never written take no memory. */
  constructor(rows: number, channels: number, precision: Precision) {
    this.channels = channels;
    this.precision = precision;
    const length = rows * channels;
    this.#data = precision === 'fp32' ? new Float32Array(length) : new Uint16Array(length);
  }

  /** Stores unit(values[begin, begin + channels)); a zero row stays zero. */
  writeUnit(row: number, values: Float32Array, begin: number): void {
    let squares = 0;
    for (let i = 0; i < this.channels; i++) squares += values[begin + i]! ** 2;
    const divisor = Math.max(Math.sqrt(squares), 1e-12);
    const at = row * this.channels;
    const half = this.precision === 'fp16';
    for (let i = 0; i < this.channels; i++) {
      const value = values[begin + i]! / divisor;
      this.#data[at + i] = half ? halfFromFloat(value) : value;
    }
  }

  /** Copies a row into out[begin, begin + channels). */
  read(row: number, out: Float32Array, begin: number): void {
    const at = row * this.channels;
    if (this.precision === 'fp32') {
      out.set(this.#data.subarray(at, at + this.channels), begin);
      return;
    }
    for (let i = 0; i < this.channels; i++) out[begin + i] = floatFromHalf(this.#data[at + i]!);
  }

  /** A copy of a row as it is stored, for `restore`. */
  copy(row: number): Float32Array | Uint16Array {
    return this.#data.slice(row * this.channels, (row + 1) * this.channels);
  }

  restore(row: number, stored: Float32Array | Uint16Array): void {
    this.#data.set(stored, row * this.channels);
  }

  /** All rows as a tensor of the given shape: a view, changed by the next write. */
  view(shape: readonly number[]): NamedTensor {
    const { buffer, byteOffset, byteLength } = this.#data;
    return {
      dtype: DTYPE[this.precision],
      shape,
      data: new Uint8Array(buffer, byteOffset, byteLength),
    };
  }

  /** Takes over the rows of a tensor that `view` gave. */
  load(tensor: NamedTensor): void {
    const { buffer, byteOffset, byteLength } = this.#data;
    new Uint8Array(buffer, byteOffset, byteLength).set(tensor.data);
  }
}
