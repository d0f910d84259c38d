/** Reads weights from a file into TensorFlow's memory, without a copy on the host. */
import { vector } from './create.js';
import { execute } from './execute.js';
import { reshape } from './ops/shape.js';
import { scope, type Tensor } from './tensor.js';

/** Number types of files, with the numbers that native/process/storedValues.cc has for them. */
const TYPE_NUMBER = { F32: 0, F16: 1, BF16: 2, F64: 3 } as const;

export type StoredType = keyof typeof TYPE_NUMBER;

export function isStoredType(name: string): name is StoredType {
  return Object.hasOwn(TYPE_NUMBER, name);
}

/** Numbers in a file, C order and little-endian: [rows, channels, taps]. */
export interface StoredPlace {
  readonly path: string;
  /** Of the first byte. */
  readonly offset: number;
  readonly type: StoredType;
  readonly rows: number;
  readonly channels: number;
  readonly taps: number;
}

const HALF_BITS = 2 ** 30;

/**
 * As float32 [taps, channels, rows], with the given shape of as many elements. F64 is rounded to nearest. Throws an Error
 * with the system's reason if the file can't be read or is too short.
 */
export function readStored(place: StoredPlace, shape: readonly number[]): Tensor {
  const { path, offset, type, rows, channels, taps } = place;
  return scope(() => {
    const numbers = [Math.floor(offset / HALF_BITS), offset % HALF_BITS, TYPE_NUMBER[type]];
    const inputs = [vector([...Buffer.from(path)]), vector([...numbers, rows, channels, taps])];
    return reshape(execute('CirkdStoredValues', inputs, []), shape);
  });
}
