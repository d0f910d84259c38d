/** Pickles and .pth files put together opcode by opcode, for tests of what must be refused. */
import { writeZip } from '../../../src/wire/torch/zip/writer.js';

export type PicklePart = number | string | Uint8Array;

/** Protocol 2; numbers are bytes, texts are latin-1. STOP is added. */
export function madePickle(...parts: readonly PicklePart[]): Uint8Array {
  return raw(0x80, 2, ...parts, '.');
}

export function raw(...parts: readonly PicklePart[]): Uint8Array {
  const bytes = parts.map((part) =>
    typeof part === 'number' ? Uint8Array.of(part) : Buffer.from(part as string, 'latin1'),
  );
  return new Uint8Array(Buffer.concat(bytes));
}

export function text(value: string): Uint8Array {
  const utf8 = Buffer.from(value);
  return raw('X', uint32(utf8.length), utf8);
}

export function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** An integer of any size, as LONG1. */
export function long(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt.asIntN(64, value));
  bytes.writeBigInt64LE(BigInt.asIntN(64, value >> 64n), 8);
  return raw(0x8a, 16, bytes);
}

export function sizes(...values: readonly (number | bigint)[]): Uint8Array {
  return raw('(', ...values.map((value) => long(BigInt(value))), 't');
}

export function storage(key: string, elements: number | bigint, type = 'FloatStorage'): Uint8Array {
  const parts = [text('storage'), `ctorch\n${type}\n`, text(key), text('cpu')];
  return raw('(', ...parts, long(BigInt(elements)), 'tQ');
}

export interface MadeTensor {
  readonly storage?: Uint8Array;
  readonly offset?: number | bigint;
  readonly size?: readonly (number | bigint)[];
  readonly stride?: readonly (number | bigint)[];
  /** Behind the six arguments. */
  readonly more?: PicklePart;
}

/** Over storage '0' of 6 floats, a [2, 3] unless told otherwise. */
export function tensor(made: MadeTensor = {}): Uint8Array {
  return raw(
    ...['ctorch._utils\n_rebuild_tensor_v2\n(', made.storage ?? storage('0', 6)],
    ...[long(BigInt(made.offset ?? 0)), sizes(...(made.size ?? [2, 3]))],
    ...[sizes(...(made.stride ?? [3, 1])), '\x89ccollections\nOrderedDict\n)R', made.more ?? ''],
    'tR',
  );
}

/** A dict of one level: texts to values. */
export function dict(...entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  return raw('}(', ...entries.flatMap(([key, value]) => [text(key), value]), 'u');
}

/** A .pth file; storage '0' has the floats 0 to 5 unless told otherwise. */
export function madeTorchFile(
  pickle: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = { '0': floats(0, 1, 2, 3, 4, 5) },
): Uint8Array {
  return writeZip(
    new Map([
      ['made/data.pkl', pickle],
      ...Object.entries(storages).map(([key, data]) => [`made/data/${key}`, data] as const),
      ['made/version', Buffer.from('3\n')],
    ]),
  );
}

export function floats(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
