/**
 * Writes the pickle (protocol 2) of a state dict as torch.save does: an OrderedDict of names to tensors, each
 * with its own storage, whose key is the tensor's index.
 */
import { elementCount, type NamedTensors } from '../../safetensors.js';
import { storageClass } from '../torchStorage.js';

/** Tensors in C order; storage `i` belongs to the i-th tensor. */
export function pickleStateDict(tensors: NamedTensors): Uint8Array {
  const pickle = new PickleBytes();
  pickle.raw(0x80, 2);
  pickle.global('collections', 'OrderedDict');
  pickle.raw(EMPTY_TUPLE, REDUCE);
  if (tensors.size > 0) {
    pickle.raw(MARK);
    let storage = 0;
    for (const [name, { dtype, shape }] of tensors) {
      pickle.text(name);
      pickle.global('torch._utils', '_rebuild_tensor_v2');
      pickle.raw(MARK);
      pickle.storage(storageClass(dtype), String(storage), elementCount(shape));
      pickle.integer(0);
      pickle.sizes(shape);
      pickle.sizes(contiguousStrides(shape));
      pickle.raw(FALSE);
      pickle.global('collections', 'OrderedDict');
      pickle.raw(EMPTY_TUPLE, REDUCE, TUPLE, REDUCE);
      storage += 1;
    }
    pickle.raw(SET_ITEMS);
  }
  pickle.raw(STOP);
  return pickle.bytes();
}

const MARK = 0x28;
const EMPTY_TUPLE = 0x29;
const TUPLE = 0x74;
const REDUCE = 0x52;
const FALSE = 0x89;
const SET_ITEMS = 0x75;
const PERSISTENT_ID = 0x51;
const STOP = 0x2e;

class PickleBytes {
  readonly #parts: Uint8Array[] = [];

  raw(...bytes: number[]): void {
    this.#parts.push(Uint8Array.from(bytes));
  }

  global(module: string, name: string): void {
    this.raw(0x63, ...new TextEncoder().encode(`${module}\n${name}\n`));
  }

  text(value: string): void {
    const utf8 = new TextEncoder().encode(value);
    this.#sized(0x58, utf8.length);
    this.#parts.push(utf8);
  }

  /** Writes a value >= 0: as 32-bit BININT, or as LONG1 of 8 bytes if it is larger. */
  integer(value: number): void {
    if (value < 2 ** 31) {
      this.#sized(0x4a, value);
      return;
    }
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigInt64(0, BigInt(value), true);
    this.raw(0x8a, 8, ...new Uint8Array(bytes.buffer));
  }

  sizes(values: readonly number[]): void {
    this.raw(MARK);
    for (const value of values) this.integer(value);
    this.raw(TUPLE);
  }

  storage(type: string, key: string, elements: number): void {
    this.raw(MARK);
    this.text('storage');
    this.global('torch', type);
    this.text(key);
    this.text('cpu');
    this.integer(elements);
    this.raw(TUPLE, PERSISTENT_ID);
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }

  /** An opcode followed by a little-endian 32-bit number. */
  #sized(opcode: number, value: number): void {
    const part = new Uint8Array(5);
    part[0] = opcode;
    new DataView(part.buffer).setUint32(1, value, true);
    this.#parts.push(part);
  }
}

function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const size of shape.toReversed()) {
    strides.unshift(stride);
    // PyTorch's strides of empty tensors.
    stride *= Math.max(1, size);
  }
  return strides;
}
