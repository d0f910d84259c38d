/** Weights by official name, wherever they are stored: one at a time, they become tensors of a network. */
import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isStoredType, readStored, type Tensor } from '../../tensor/index.js';
import { CheckpointError } from '../../wire/checkpointError.js';
import { decodeHalf } from '../../wire/half.js';
import {
  DTYPE_BYTES,
  elementCount,
  type NamedTensor,
  type NamedTensors,
  parseSafetensorsHeader,
  type TensorForm,
  type TensorPlace,
} from '../../wire/safetensors.js';
import { type EntryRole, importShape, importTensor, storedLengths } from '../layout.js';
import { namedFloats } from '../namedValues.js';

export interface StoredWeights {
  /** dtypes and shapes by official name. */
  readonly forms: ReadonlyMap<string, TensorForm>;
  /** An upper bound of the values: tensors may overlap, and a value takes at least a byte. */
  readonly bytes: number;
  /** A weight of a float dtype as float32, in TensorFlow's layout, in the caller's scope. Throws CheckpointError. */
  read(name: string, role: EntryRole): Tensor;
  /** A small tensor, for counts. Throws CheckpointError. */
  small(name: string): NamedTensor;
}

/** Weights in memory. */
export function weightsInMemory(tensors: NamedTensors): StoredWeights {
  const buffers = new Set([...tensors.values()].map(({ data }) => data.buffer));
  return {
    forms: tensors,
    bytes: [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0),
    read(name, role) {
      const tensor = tensors.get(name)!;
      return importTensor(role, namedFloats(name, tensor), tensor.shape);
    },
    small: (name) => tensors.get(name)!,
  };
}

/** Bytes that are read at a time; a multiple of every dtype's size. */
const PIECE_BYTES = 1 << 18;

type FileState = Pick<BigIntStats, 'size' | 'mtimeNs'>;

/** Weights in a safetensors file, of which only the header is in memory. */
export class WeightsFile implements StoredWeights {
  readonly forms: ReadonlyMap<string, TensorPlace>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly bytes: number;
  /** For native code. Of the open file where the system has such a path, as another file may take the name. */
  readonly #path: string;
  readonly #descriptor: number;
  readonly #opened: FileState;
  /** Used again and again: buffers that nobody needs any more stay in memory until V8 collects them. */
  readonly #piece = new Uint8Array(PIECE_BYTES);
  readonly #floats = new Float32Array(PIECE_BYTES / DTYPE_BYTES.F16);

  /** Throws the system's error if the file can't be opened, SafetensorsError if it isn't well-formed. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
    this.#path = process.platform === 'linux' ? `/proc/self/fd/${this.#descriptor}` : path;
    try {
      this.#opened = this.#state();
      this.bytes = Number(this.#opened.size);
      const header = parseSafetensorsHeader(this.bytes, (begin, length) =>
        this.#bytes(begin, length),
      );
      this.forms = header.tensors;
      this.metadata = header.metadata;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  read(name: string, role: EntryRole): Tensor {
    const { dtype, shape, begin } = this.forms.get(name)!;
    if (!isStoredType(dtype)) throw new Error(`${name}: read as floats, is ${dtype}`);
    try {
      const place = { path: this.#path, offset: begin, type: dtype, ...storedLengths(role, shape) };
      return readStored(place, importShape(role, shape));
    } catch (error) {
      // Such as an addon that isn't there.
      if (error instanceof Error && 'code' in error) throw error;
      throw new CheckpointError(`${name}: ${(error as Error).message}`);
    }
  }

  small(name: string): NamedTensor {
    const { dtype, shape, begin } = this.forms.get(name)!;
    return { dtype, shape, data: this.#bytes(begin, elementCount(shape) * DTYPE_BYTES[dtype]) };
  }

  /** The values as float32, little-endian, piece by piece; a piece is valid until the next one. Throws CheckpointError. */
  *float32Pieces(name: string): Generator<Uint8Array> {
    const { dtype, shape, begin } = this.forms.get(name)!;
    const width = DTYPE_BYTES[dtype];
    const end = begin + elementCount(shape) * width;
    for (let at = begin; at < end; at += PIECE_BYTES) {
      const data = this.#piece.subarray(0, Math.min(PIECE_BYTES, end - at));
      this.#fill(data, at);
      if (dtype === 'F32') {
        yield data;
        continue;
      }
      const count = data.length / width;
      const values =
        dtype === 'F16'
          ? decodeHalf(new Uint16Array(data.buffer, 0, count), this.#floats)
          : namedFloats(name, { dtype, shape: [count], data });
      yield new Uint8Array(values.buffer, values.byteOffset, 4 * count);
    }
  }

  /** Throws CheckpointError if the file has changed since it was opened: what was read may be of both. */
  requireUnchanged(): void {
    const [opened, now] = [this.#opened, this.#state()];
    if (opened.size === now.size && opened.mtimeNs === now.mtimeNs) return;
    throw new CheckpointError('the file was changed while it was read');
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #state(): FileState {
    return fstatSync(this.#descriptor, { bigint: true });
  }

  #bytes(begin: number, length: number): Uint8Array {
    const data = new Uint8Array(length);
    this.#fill(data, begin);
    return data;
  }

  #fill(data: Uint8Array, begin: number): void {
    for (let done = 0; done < data.length; ) {
      const got = readSync(this.#descriptor, data, done, data.length - done, begin + done);
      if (got === 0) {
        throw new CheckpointError(`the file ends before byte ${begin + data.length}`);
      }
      done += got;
    }
  }
}
