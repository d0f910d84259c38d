/** Files of torch.save's form before PyTorch 1.6, put together part by part. */
import { dict, floats, long, madePickle, type PicklePart, raw, text } from './madePickle.js';

/** torch.save's magic number as the pickle of an integer. */
export const MAGIC = madePickle(raw(0x8a, 0x0a, 'l\xfc\x9cF\xf9 j\xa8P\x19'));

export interface LegacyParts {
  /** The pickled object. */
  readonly pickle: Uint8Array;
  /** Keys in the file's order to bytes; of floats, unless `counts` says otherwise. */
  readonly storages?: readonly (readonly [key: string, data: Uint8Array])[];
  /** Element counts before the storages; without, a quarter of the bytes. */
  readonly counts?: readonly bigint[];
  /** The pickle of the keys; without, those of `storages`. */
  readonly keys?: Uint8Array;
  readonly magic?: Uint8Array;
  readonly version?: Uint8Array;
  readonly system?: Uint8Array;
}

/** Storage '0' has the floats 0 to 5 unless told otherwise. */
export function madeLegacyFile(parts: LegacyParts): Uint8Array {
  const { pickle, storages = [['0', floats(0, 1, 2, 3, 4, 5)]] } = parts;
  const keys = madePickle('](', ...storages.map(([key]) => text(key)), 'e');
  const rows = storages.map(([, data], index) => {
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(parts.counts?.[index] ?? BigInt(data.length / 4));
    return raw(count, data);
  });
  return raw(
    parts.magic ?? MAGIC,
    parts.version ?? madePickle('M', 0xe9, 0x03),
    parts.system ?? madePickle(dict(['little_endian', raw(0x88)])),
    pickle,
    parts.keys ?? keys,
    ...rows,
  );
}

/** A persistent id; `view` is None or (key, offset, element count). */
export function legacyStorage(
  key: string,
  elements: number | bigint,
  view: PicklePart = 'N',
  type = 'FloatStorage',
): Uint8Array {
  const parts = [text('storage'), `ctorch\n${type}\n`, text(key), text('cpu')];
  return raw('(', ...parts, long(BigInt(elements)), view, 'tQ');
}

/** (key, offset, element count) */
export function legacyView(key: string, offset: number, elements: number): Uint8Array {
  return raw(text(key), long(BigInt(offset)), long(BigInt(elements)), 0x87);
}
