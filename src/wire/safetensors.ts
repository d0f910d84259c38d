/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then the data.
 * Source: https://github.com/huggingface/safetensors (format section of its README).
 *
 * Tensors stay bytes here and the caller converts them to numbers, so dtypes with which this project doesn't
 * compute (I64, BF16) pass through bit for bit.
 */

import { printable } from './printable.js';

/** The format's dtype names, with sizes in bytes. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** A tensor without its values. */
export interface TensorForm {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** One tensor: C order, little-endian. `data` may start at any byte offset of its buffer. */
export interface NamedTensor extends TensorForm {
  readonly data: Uint8Array;
}

/** A tensor in a file. */
export interface TensorPlace extends TensorForm {
  /** Where its values begin, in bytes from the start of the file. */
  readonly begin: number;
}

export type NamedTensors = ReadonlyMap<string, NamedTensor>;

export interface SafetensorsFile {
  readonly tensors: Map<string, NamedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The file isn't well-formed safetensors; the message names the tensor and the fault. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

const MAX_HEADER_BYTES = 100_000_000;
/** Of the header's length. */
const LENGTH_BYTES = 8;

/** Number of elements of a shape (1 for a scalar). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Parses a whole file held in memory. Tensors are views of `bytes`; nothing is copied.
 * Throws SafetensorsError when a length, dtype, shape or range doesn't fit.
 */
export function parseSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { tensors: places, metadata } = parseSafetensorsHeader(bytes.length, (begin, length) =>
    bytes.subarray(begin, begin + length),
  );
  const tensors = new Map<string, NamedTensor>();
  for (const [name, { dtype, shape, begin }] of places) {
    const end = begin + elementCount(shape) * DTYPE_BYTES[dtype];
    tensors.set(name, { dtype, shape, data: bytes.subarray(begin, end) });
  }
  return { tensors, metadata };
}

/**
 * Parses the header of a file of `fileBytes` bytes, of which `read` gives a part. Throws SafetensorsError when a length, dtype,
 * shape or range doesn't fit.
 */
export function parseSafetensorsHeader(
  fileBytes: number,
  read: (begin: number, length: number) => Uint8Array,
): { readonly tensors: Map<string, TensorPlace>; readonly metadata: Record<string, string> } {
  if (fileBytes < LENGTH_BYTES) {
    throw new SafetensorsError(`header length: file has ${fileBytes} bytes, wanted at least 8`);
  }
  const lengthBytes = read(0, LENGTH_BYTES);
  const view = new DataView(lengthBytes.buffer, lengthBytes.byteOffset, LENGTH_BYTES);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES || headerBytes + LENGTH_BYTES > fileBytes) {
    throw new SafetensorsError(
      `header length: ${headerBytes} bytes announced, file has ${fileBytes} (truncated, or no safetensors file)`,
    );
  }
  const header = parseHeader(read(LENGTH_BYTES, headerBytes));
  const bodyBegin = LENGTH_BYTES + headerBytes;
  const tensors = new Map<string, TensorPlace>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = checkMetadata(entry);
    } else {
      tensors.set(name, placeOf(name, entry, bodyBegin, fileBytes));
    }
  }
  return { tensors, metadata };
}

/**
 * Formats a file in memory: tensors in the given order; the header is padded with spaces to align the data
 * to 8 bytes, as in the reference writer.
 */
export function formatSafetensors(
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header = safetensorsHeader(tensors, metadata);
  let at = header.length;
  for (const tensor of tensors.values()) at += tensor.data.byteLength;
  const file = new Uint8Array(at);
  file.set(header, 0);
  at = header.length;
  for (const tensor of tensors.values()) {
    file.set(tensor.data, at);
    at += tensor.data.byteLength;
  }
  return file;
}

/**
 * The bytes of a file up to its data, for writers that don't keep the whole file in memory. The tensors'
 * data must follow in the given order, without gaps.
 */
export function safetensorsHeader(
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const [name, tensor] of tensors) {
    const wanted = elementCount(tensor.shape) * DTYPE_BYTES[tensor.dtype];
    if (tensor.data.byteLength !== wanted) {
      throw new SafetensorsError(
        `${name}: ${tensor.data.byteLength} bytes given, ${tensor.dtype} [${tensor.shape}] wants ${wanted}`,
      );
    }
    header[name] = {
      dtype: tensor.dtype,
      shape: tensor.shape,
      data_offsets: [offset, offset + wanted],
    };
    offset += wanted;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(json, 8);
  return bytes;
}

/** A float32 tensor from numbers; the array is not copied. */
export function float32Tensor(data: Float32Array, shape: readonly number[]): NamedTensor {
  return {
    dtype: 'F32',
    shape,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

/** An int32 tensor from numbers; the array is not copied. */
export function int32Tensor(data: Int32Array, shape: readonly number[]): NamedTensor {
  return {
    dtype: 'I32',
    shape,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

/** Copies a tensor's bytes to a buffer of their own, so that any typed array can view them. */
export function alignedBytes(tensor: NamedTensor): ArrayBuffer {
  // Not slice(): on a Buffer, as from readFile, it returns a view instead of a copy.
  return new Uint8Array(tensor.data).buffer;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (header === null || typeof header !== 'object' || Array.isArray(header)) {
      throw new Error('not an object');
    }
    return header as Record<string, unknown>;
  } catch (error) {
    throw new SafetensorsError(
      `header: ${printable((error as Error).message)}, wanted a JSON object`,
    );
  }
}

function checkMetadata(entry: unknown): Record<string, string> {
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
    throw new SafetensorsError(`__metadata__: ${kindOf(entry)} given, wanted an object of strings`);
  }
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value === 'string') continue;
    throw new SafetensorsError(
      `__metadata__: ${printable(key)} is ${kindOf(value)}, wanted a string`,
    );
  }
  return entry as Record<string, string>;
}

/** The kind of a JSON value, never its content. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function placeOf(given: string, entry: unknown, bodyBegin: number, fileBytes: number): TensorPlace {
  const name = printable(given);
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
    throw new SafetensorsError(`${name}: ${kindOf(entry)} given, wanted an object`);
  }
  const {
    dtype,
    shape,
    data_offsets: range,
  } = entry as {
    dtype?: unknown;
    shape?: unknown;
    data_offsets?: unknown;
  };
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw new SafetensorsError(
      `${name}: dtype ${typeof dtype === 'string' ? `'${printable(dtype)}'` : kindOf(dtype)} is not known`,
    );
  }
  if (!isSizes(shape) || !isSizes(range) || range.length !== 2) {
    throw new SafetensorsError(`${name}: shape and data_offsets must be lists of integers >= 0`);
  }
  const [begin, end] = range as [number, number];
  const known = dtype as SafetensorsDtype;
  const wanted = elementCount(shape) * DTYPE_BYTES[known];
  const bodyBytes = fileBytes - bodyBegin;
  if (end - begin !== wanted || end > bodyBytes) {
    throw new SafetensorsError(
      `${name}: ${known} [${shape}] wants ${wanted} bytes, data_offsets [${begin}, ${end}] of ${bodyBytes}`,
    );
  }
  return { dtype: known, shape, begin: bodyBegin + begin };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
