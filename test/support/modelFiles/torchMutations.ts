/** Checkpoints of both forms with something made wrong; each number is always the same one. */
import { readdirSync, readFileSync } from 'node:fs';
import { type Draws, drawsFor } from '../../../src/random/draws.js';
import { readZip } from '../../../src/wire/torch/zip/reader.js';
import { writeZip } from '../../../src/wire/torch/zip/writer.js';
import { legacyStorage, legacyView, MAGIC, madeLegacyFile } from './legacyTorchFile.js';
import { dict, floats, madePickle, madeTorchFile, raw, tensor, text } from './madePickle.js';
import { pickleTokens } from './pickleTokens.js';

const GOLDEN = new URL('../../golden/data/checkpoints/', import.meta.url);
const PICKLES_OF_LEGACY = 5;

type Mutation = (bytes: Buffer, draws: Draws) => Buffer;

interface Seed {
  readonly bytes: Buffer;
  /** Zip: the entries, where the pickle is changed by itself. */
  readonly entries: ReadonlyMap<string, Uint8Array> | null;
}

/** Sound files of both forms, with a bit of everything that pickles have. */
function soundFiles(): Uint8Array[] {
  const foreign = dict(
    ['args', raw('cargparse\nNamespace\n)', 0x81, dict(['lr', raw('K', 1)]), 'b')],
    ['dtype', raw('cnumpy\ndtype\n', text('f8'), 0x89, 0x88, 0x87, 'R')],
    ['old', raw("(I7\nS'x'\nV\\u00e9\nF1.5\nL3L\nU", 1, 'a', '(K', 1, 'lNp9\n0g9\n2t')],
    ['set', raw(0x8f, '(K', 1, 0x90, '(N', 0x91, 0x86)],
    ['made', raw('(', text('x'), 'imine\nOld\n(cmine\nNew\no', 0x86)],
  );
  const part = tensor({
    ...{ storage: legacyStorage('0', 6, legacyView('v', 2, 3)), size: [3], stride: [1] },
  });
  const turned = tensor({ storage: legacyStorage('0', 6), size: [3, 2], stride: [1, 3] });
  const named = readdirSync(GOLDEN).filter((name) => name !== 'not_a_checkpoint.pth');
  return [
    ...named.map((name) => readFileSync(new URL(name, GOLDEN))),
    madeLegacyFile({ pickle: madePickle(dict(['x', part], ['y', turned], ['z', foreign])) }),
    madeTorchFile(madePickle(dict(['x', tensor()], ['z', foreign]))),
    madeLegacyFile({
      magic: MAGIC,
      pickle: madePickle(dict(['model', dict(['w', turned])], ['epoch', raw('M', 1, 2)])),
      storages: [['0', floats(1, 2, 3, 4, 5, 6)]],
    }),
  ];
}

const SEEDS: readonly Seed[] = soundFiles().map((file) => {
  const bytes = Buffer.from(file);
  return { bytes, entries: bytes[0] === 0x50 && isWhole(bytes) ? readZip(bytes) : null };
});

const isZip = ({ bytes }: Seed) => bytes[0] === 0x50;
const FORMS = [SEEDS.filter(isZip), SEEDS.filter((seed) => !isZip(seed))] as const;

function isWhole(bytes: Buffer): boolean {
  return bytes.includes('PK\x05\x06');
}

/** Lengths that are near a limit of something. */
const LENGTHS = [
  ...[0n, 1n, 0x7fn, 0xffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn],
  ...[2n ** 52n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
];

const OF_BYTES: readonly Mutation[] = [
  (bytes, draws) => {
    const changed = Buffer.from(bytes);
    for (let flips = 1 + draws.integer(4); flips > 0; flips--) {
      changed[draws.integer(bytes.length)]! ^= 1 << draws.integer(8);
    }
    return changed;
  },
  (bytes, draws) => {
    const changed = Buffer.from(bytes);
    changed[draws.integer(bytes.length)] = draws.integer(256);
    return changed;
  },
  (bytes, draws) => bytes.subarray(0, draws.integer(bytes.length)),
  (bytes, draws) => spliced(bytes, draws, Buffer.alloc(0)),
  (bytes, draws) => inserted(bytes, draws, Buffer.alloc(1 + draws.integer(9), draws.integer(256))),
  (bytes, draws) => {
    const other = SEEDS[draws.integer(SEEDS.length)]!.bytes;
    const from = draws.integer(other.length);
    return spliced(bytes, draws, other.subarray(from, from + draws.integer(64)));
  },
  (bytes, draws) => {
    const changed = Buffer.from(bytes);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(LENGTHS[draws.integer(LENGTHS.length)]!);
    const width = [2, 4, 8][draws.integer(3)]!;
    length.copy(changed, draws.integer(bytes.length), 0, width);
    return changed;
  },
];

/** Opcodes left out, doubled, exchanged, replaced, or with another length. */
function ofTokens(bytes: Buffer, draws: Draws, pickles: number): Buffer {
  const tokens = pickleTokens(bytes, pickles);
  const at = draws.integer(tokens.length);
  const token = tokens[at]!;
  const other = tokens[draws.integer(tokens.length)]!;
  const [before, after] = [bytes.subarray(0, token.start), bytes.subarray(token.end)];
  const [own, borrowed] = [token, other].map(({ start, end }) => bytes.subarray(start, end));
  switch (draws.integer(6)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, own!, own!, after]);
    case 2:
      return Buffer.concat([before, borrowed!, after]);
    case 3:
      return Buffer.concat([before, borrowed!, own!, after]);
    case 4:
      return Buffer.concat([before, Buffer.of(draws.integer(256)), after]);
    default: {
      const sized = tokens.filter(({ length }) => length > 0);
      const { start, length } = sized[draws.integer(sized.length)]!;
      const changed = Buffer.from(bytes);
      const value = Buffer.alloc(8);
      value.writeBigUInt64LE(LENGTHS[draws.integer(LENGTHS.length)]!);
      value.copy(changed, start + 1, 0, length);
      return changed;
    }
  }
}

function spliced(bytes: Buffer, draws: Draws, by: Uint8Array): Buffer {
  const from = draws.integer(bytes.length);
  const rest = bytes.subarray(from + draws.integer(48));
  return Buffer.concat([bytes.subarray(0, from), by, rest]);
}

function inserted(bytes: Buffer, draws: Draws, more: Uint8Array): Buffer {
  const at = draws.integer(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
}

/**
 * The mutated file of this number: even ones zip archives, odd ones of before PyTorch 1.6. Half have one
 * to three changes of bytes, half one of opcodes.
 */
export function mutatedCheckpoint(number: number): Uint8Array {
  const draws = drawsFor(14, 'test', number);
  const seeds = FORMS[number % 2]!;
  const { bytes, entries } = seeds[Math.floor(number / 2) % seeds.length]!;
  const once: Mutation = (given, by) =>
    given.length === 0 ? given : OF_BYTES[by.integer(OF_BYTES.length)]!(given, by);
  if (draws.integer(2) === 0) {
    let changed = bytes;
    for (let times = 1 + draws.integer(3); times > 0; times--) changed = once(changed, draws);
    return changed;
  }
  if (entries !== null) return withPickle(entries, draws);
  if (bytes[0] === 0x50) return once(bytes, draws);
  return ofTokens(bytes, draws, bytes.length > 300 ? PICKLES_OF_LEGACY : 3);
}

/** The archive anew, so that damage to the pickle is not seen as damage to the archive. */
function withPickle(entries: ReadonlyMap<string, Uint8Array>, draws: Draws): Uint8Array {
  const changed = [...entries].map(([name, data]): [string, Uint8Array] => {
    if (!name.endsWith('/data.pkl')) return [name, data];
    return [name, ofTokens(Buffer.from(data), draws, 1)];
  });
  return writeZip(new Map(changed));
}
