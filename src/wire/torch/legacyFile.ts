/**
 * The format of torch.save before PyTorch 1.6, which newer versions write on request: five consecutive
 * pickles (magic number, version, the writer's types, the object, the keys of its storages), then the
 * storages in the order of the keys, each with a 64-bit element count. All little-endian.
 * Source: _legacy_save and _legacy_load in torch/serialization.py of PyTorch 2.15.
 */
import { CheckpointError } from '../checkpointError.js';
import type { PickleRules } from './pickle/machine.js';
import { readPickleAt } from './pickle/reader.js';
import { kindOf, PickleDict, shown } from './pickle/values.js';
import type { StorageClass, StorageSource } from './torchStorage.js';

const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
const COUNT_BYTES = 8;

/** Rules for pickles of plain data. */
const PLAIN: PickleRules = {
  resolve: (module, name) => refused(`global ${shown(`${module}.${name}`)}`),
  call: () => refused('a call'),
  create: () => refused('an object'),
  persistent: () => refused('a persistent id'),
  setState: () => refused('attributes'),
  append: (target) => refused(`items for ${kindOf(target)}`),
  setItems: (target) => refused(`items for ${kindOf(target)}`),
};

function refused(what: string): never {
  throw new CheckpointError(`${what} is refused: plain data are wanted here`);
}

/**
 * Whether the bytes begin like this format: with the pickle of a ten-byte integer (as digits in protocols 0
 * and 1). No safetensors file begins so: its header's length would be too large.
 */
export function isLegacy(bytes: Uint8Array): boolean {
  const [proto, version] = bytes;
  if (proto === 0x4c) return startsWith(bytes, `L${MAGIC_NUMBER}L\n`);
  if (proto !== 0x80 || version! < 2 || version! > 5) return false;
  // A frame opcode, followed by its length.
  const at = bytes[2] === 0x95 ? 11 : 2;
  return bytes[at] === 0x8a && bytes[at + 1] === 0x0a;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.subarray(0, text.length)).toString('latin1') === text;
}

/**
 * Reads the pickled object. `rulesOf` makes the rules for its pickle from the source of its storages, which
 * are views of `bytes`. Throws CheckpointError naming the part of the file.
 */
export function readLegacyFile(
  bytes: Uint8Array,
  rulesOf: (storages: StorageSource) => PickleRules,
): unknown {
  const storages = new LegacyStorages();
  const magic = readPickleAt(bytes, 0, PLAIN, 'magic number');
  if (magic.value !== MAGIC_NUMBER) {
    throw new CheckpointError(`magic number: ${numberOr(magic.value)}, wanted ${MAGIC_NUMBER}`);
  }
  const version = readPickleAt(bytes, magic.end, PLAIN, 'protocol version');
  if (version.value !== VERSION) {
    throw new CheckpointError(`protocol version: ${numberOr(version.value)}, wanted ${VERSION}`);
  }
  const system = readPickleAt(bytes, version.end, PLAIN, 'system info');
  if (!(system.value instanceof PickleDict)) {
    throw new CheckpointError(`system info: ${kindOf(system.value)}, wanted a dict`);
  }
  const root = readPickleAt(bytes, system.end, rulesOf(storages), 'pickle');
  const keys = readPickleAt(bytes, root.end, PLAIN, 'keys of storages');
  storages.fill(bytes, keys.end, keys.value);
  return root.value;
}

function numberOr(value: unknown): string {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  return isNumber ? shown(String(value)) : kindOf(value);
}

interface LegacyStorage {
  readonly type: StorageClass;
  readonly elements: number;
  /** null until the storages are read. */
  content: Uint8Array | null;
}

class LegacyStorages implements StorageSource {
  readonly views = true;
  readonly #storages = new Map<string, LegacyStorage>();

  open(key: string, type: StorageClass, elements: number): () => Uint8Array {
    const storage = this.#storages.get(key) ?? { type, elements, content: null };
    const [wanted, known] = [elements * type.width, storage.elements * storage.type.width];
    if (wanted !== known) {
      throw new CheckpointError(
        `storage ${shown(key)} has ${known} bytes in one place, ${wanted} in another`,
      );
    }
    this.#storages.set(key, storage);
    return () => storage.content!;
  }

  /** Throws CheckpointError if keys or storages differ from the pickle's, or if the file is truncated. */
  fill(bytes: Uint8Array, start: number, keys: unknown): void {
    if (!Array.isArray(keys)) {
      throw new CheckpointError(`keys of storages: ${kindOf(keys)}, wanted a list`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = start;
    for (const key of keys) {
      const storage = this.#listed(key);
      const begin = at + COUNT_BYTES;
      if (begin > bytes.length) {
        throw new CheckpointError(`storage ${shown(key)}: the file ends before it`);
      }
      const count = view.getBigInt64(at, true);
      if (count !== BigInt(storage.elements)) {
        throw new CheckpointError(
          `storage ${shown(key)} has ${count} elements, the pickle says ${storage.elements}`,
        );
      }
      at = begin + storage.elements * storage.type.width;
      if (at > bytes.length) {
        throw new CheckpointError(
          `storage ${shown(key)} of ${at - begin} bytes, ${bytes.length - begin} are left in the file`,
        );
      }
      storage.content = bytes.subarray(begin, at);
    }
    for (const [key, { content }] of this.#storages) {
      if (content === null)
        throw new CheckpointError(`storage ${shown(key)} is missing in the file`);
    }
    if (at < bytes.length) {
      throw new CheckpointError(`${bytes.length - at} bytes after the last storage`);
    }
  }

  #listed(key: unknown): LegacyStorage {
    const storage = typeof key === 'string' ? this.#storages.get(key) : undefined;
    const name = typeof key === 'string' ? shown(key) : kindOf(key);
    if (storage === undefined) {
      throw new CheckpointError(`keys of storages: ${name} is none of the pickle's storages`);
    }
    if (storage.content !== null) {
      throw new CheckpointError(`keys of storages: ${name} appears twice`);
    }
    return storage;
  }
}
