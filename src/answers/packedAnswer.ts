/**
 * An answer as one run of bytes, for the store. Little-endian: length of the header (uint32), the header
 * (JSON: output, dtype and shape of each tensor), then the tensors' data, one after the other.
 */
import { WIRE_DTYPE_BYTES, type WireDType } from '../contract/encodedTensor.js';
import { type EncodedOutput, type OutputName, OUTPUTS } from '../contract/outputs.js';
import { checkTensor, TensorFormatError, tensorBytes } from '../wire/checkTensor.js';

const LENGTH_BYTES = 4;

interface PackedTensor {
  readonly output: OutputName;
  readonly dtype: WireDType;
  readonly shape: readonly number[];
}

/** Returns a copy. Throws TensorFormatError if a tensor's bytes don't fit its shape. */
export function packAnswer(outputs: readonly EncodedOutput[]): Uint8Array<ArrayBuffer> {
  const tensors: PackedTensor[] = outputs.map(({ output, tensor }) => {
    const { dtype, shape } = tensor;
    checkTensor(output, tensor, dtype, shape);
    return { output, dtype, shape };
  });
  const header = Buffer.from(JSON.stringify(tensors));
  const dataBytes = outputs.reduce((sum, { tensor }) => sum + tensor.data.byteLength, 0);
  const packed = new Uint8Array(LENGTH_BYTES + header.length + dataBytes);
  new DataView(packed.buffer).setUint32(0, header.length, true);
  packed.set(header, LENGTH_BYTES);
  let at = LENGTH_BYTES + header.length;
  for (const { tensor } of outputs) {
    packed.set(new Uint8Array(tensor.data), at);
    at += tensor.data.byteLength;
  }
  return packed;
}

/**
 * The tensors, each with a buffer of its own. Throws TensorFormatError unless the bytes are exactly one
 * packed answer.
 */
export function unpackAnswer(packed: Uint8Array): EncodedOutput[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const headerBytes = packed.length < LENGTH_BYTES ? 0 : view.getUint32(0, true);
  let at = LENGTH_BYTES + headerBytes;
  const tensors = headerOf(packed.subarray(LENGTH_BYTES, at));
  const outputs = tensors.map(({ output, dtype, shape }) => {
    const begin = at;
    at += tensorBytes(dtype, shape);
    // Not packed.slice: a Buffer's is a view.
    const data = new Uint8Array(packed.subarray(begin, at)).buffer;
    return { output, tensor: { dtype, shape, data } };
  });
  if (at === packed.length) return outputs;
  throw new TensorFormatError(`answer: ${packed.length} bytes given, its header wants ${at}`);
}

function headerOf(bytes: Uint8Array): PackedTensor[] {
  const header = parsed(Buffer.from(bytes).toString());
  if (Array.isArray(header) && header.every(isTensor)) return header;
  throw new TensorFormatError('answer: no list of tensors at its beginning');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isTensor(value: unknown): value is PackedTensor {
  const { output, dtype, shape } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof output === 'string' &&
    Object.hasOwn(OUTPUTS, output) &&
    typeof dtype === 'string' &&
    Object.hasOwn(WIRE_DTYPE_BYTES, dtype) &&
    Array.isArray(shape)
  );
}
