/** Stores unit rows in one typed array on the host, in fp32 or fp16. */
import { halfFromFloat } from '../wire/half.js';
import type { NamedTensor } from '../wire/safetensors.js';

export type Precision = 'fp32' | 'fp16';

/** float32 values, or the bit patterns of float16 values. */
export type StoredRows = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** Of a store's rows in a checkpoint. */
export const ROW_DTYPE = { fp32: 'F32', fp16: 'F16' } as const;

export class RowStore {
  readonly channels: number;
  readonly precision: Precision;
  readonly #data: StoredRows;

  /** Starts with zero rows; pages that are never written take no memory. */
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

  /** Copies the given rows, one after the other, in the store's precision. */
  gather(rows: Int32Array): StoredRows {
    const length = rows.length * this.channels;
    const data = this.precision === 'fp32' ? new Float32Array(length) : new Uint16Array(length);
    rows.forEach((row, i) => {
      const at = row * this.channels;
      data.set(this.#data.subarray(at, at + this.channels), i * this.channels);
    });
    return data;
  }

  /** Copies a row in the store's precision, for `restore`. */
  copy(row: number): StoredRows {
    return this.#data.slice(row * this.channels, (row + 1) * this.channels);
  }

  restore(row: number, stored: StoredRows): void {
    this.#data.set(stored, row * this.channels);
  }

  /** All rows as a tensor of the given shape. It is a view: the next write changes it. */
  view(shape: readonly number[]): NamedTensor {
    const { buffer, byteOffset, byteLength } = this.#data;
    return {
      dtype: ROW_DTYPE[this.precision],
      shape,
      data: new Uint8Array(buffer, byteOffset, byteLength),
    };
  }

  /** Copies the rows of a tensor that came from `view`. */
  load(tensor: NamedTensor): void {
    const { buffer, byteOffset, byteLength } = this.#data;
    new Uint8Array(buffer, byteOffset, byteLength).set(tensor.data);
  }
}
