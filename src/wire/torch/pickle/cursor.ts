/** Reads a pickle's bytes in order, never past their end. */
import { isUtf8 } from 'node:buffer';
import { CheckpointError } from '../../checkpointError.js';
import { shown } from './values.js';

/** Limit for the name of a module or global, in bytes. */
const LONGEST_GLOBAL = 128;
const NEWLINE = 0x0a;

/** Every method throws CheckpointError if the pickle ends too early. */
export class PickleCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#bytes.length - this.#position;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** A length. Inexact beyond 2^53, which is longer than any file. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** Big-endian, unlike the integers. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** A view of `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    const bytes = this.take(length);
    try {
      return this.#decoder.decode(bytes);
    } catch {
      throw new CheckpointError('a string that is not UTF-8');
    }
  }

  /** Two lines: module and name. */
  globalName(): [module: string, name: string] {
    return [this.#globalLine(), this.#globalLine()];
  }

  /** A line of the text protocol, without its newline; every byte is one character. */
  line(): string {
    const end = this.#bytes.indexOf(NEWLINE, this.#position);
    if (end < 0) throw new CheckpointError('a line without an end');
    const line = this.take(end - this.#position);
    this.#advance(1);
    return Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1');
  }

  /** A string of Python 2: text if it is UTF-8, else bytes. */
  byteString(length: number): string | Uint8Array {
    if (length < 0) throw new CheckpointError(`a string of ${length} bytes`);
    const bytes = this.take(length);
    return isUtf8(bytes) ? this.#decoder.decode(bytes) : bytes;
  }

  /** Skips a frame's length, which matters only to readers of streams. */
  checkFrame(): void {
    const length = this.uint64();
    if (length > this.left) {
      throw new CheckpointError(`a frame of ${length} bytes, ${this.left} are left`);
    }
  }

  #globalLine(): string {
    const end = this.#bytes.indexOf(NEWLINE, this.#position);
    const length = end - this.#position;
    if (end < 0 || length > LONGEST_GLOBAL) {
      const start = this.take(Math.min(this.left, 32));
      throw new CheckpointError(
        `a global's name without an end: ${shown(Buffer.from(start).toString('latin1'))}`,
      );
    }
    const line = this.text(length);
    this.#advance(1);
    return line;
  }

  #advance(length: number): number {
    if (length > this.left) {
      throw new CheckpointError(`cut off: ${length} bytes wanted, ${this.left} are left`);
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}
