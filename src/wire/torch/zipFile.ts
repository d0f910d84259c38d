/**
 * The format of torch.save since PyTorch 1.6: a zip archive of `<folder>/data.pkl` and, for each storage,
 * `<folder>/data/<key>`.
 * Source: _save and _load in torch/serialization.py of PyTorch 2.15.
 */
import { CheckpointError } from '../checkpointError.js';
import type { PickleRules } from './pickle/machine.js';
import { readPickle } from './pickle/reader.js';
import { shown } from './pickle/values.js';
import type { StorageSource } from './torchStorage.js';
import { readZip, type ZipEntries } from './zip/reader.js';

const PICKLE = 'data.pkl';
const LARGEST_PICKLE_BYTES = 64 * 2 ** 20;

export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** Reads the pickled object; `rulesOf` makes the rules for its pickle. Storages are views of `bytes`. */
export function readZipFile(
  bytes: Uint8Array,
  rulesOf: (storages: StorageSource) => PickleRules,
): unknown {
  const { folder, pickle, entries } = openArchive(readZip(bytes));
  const storages = zipStorages((key) => entries.get(`${folder}/data/${key}`));
  return readPickle(pickle, rulesOf(storages));
}

/** `contentOf` gives the bytes of a storage by key, or undefined if it's missing. */
export function zipStorages(contentOf: (key: string) => Uint8Array | undefined): StorageSource {
  return {
    views: false,
    open(key, { dtype, name, width }, elements) {
      const content = contentOf(key);
      if (content === undefined) {
        throw new CheckpointError(`storage ${shown(key)} is missing in the file`);
      }
      const wanted = elements * width;
      if (content.byteLength !== wanted) {
        throw new CheckpointError(
          `storage ${shown(key)} has ${content.byteLength} bytes, ${elements} elements of ${dtype ?? name} want ${wanted}`,
        );
      }
      return () => content;
    },
  };
}

function openArchive(entries: ZipEntries) {
  const names = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (names.length !== 1) {
    throw new CheckpointError(
      `zip archive: ${names.length} entries named <folder>/${PICKLE}, wanted one: not a PyTorch checkpoint`,
    );
  }
  const folder = names[0]!.slice(0, -PICKLE.length - 1);
  if (entries.has(`${folder}/constants.pkl`)) {
    throw new CheckpointError(
      'a TorchScript archive, as torch.jit.save writes it; ' +
        'load it with PyTorch and save its weights: torch.save(module.state_dict(), FILE)',
    );
  }
  checkByteOrder(entries.get(`${folder}/byteorder`));
  const pickle = entries.get(names[0]!)!;
  if (pickle.byteLength > LARGEST_PICKLE_BYTES) {
    throw new CheckpointError(
      `${PICKLE}: ${pickle.byteLength} bytes, wanted at most ${LARGEST_PICKLE_BYTES}`,
    );
  }
  return { folder, pickle, entries };
}

/** Without the entry, the file is from a PyTorch that wrote little-endian files only. */
function checkByteOrder(order: Uint8Array | undefined): void {
  if (order === undefined) return;
  // Decode only the start: the entry may be as large as the file.
  const given = Buffer.from(order.subarray(0, 16)).toString('latin1');
  if (order.byteLength === given.length && given === 'little') return;
  throw new CheckpointError(
    `byteorder: not little but ${shown(given)} in ${order.byteLength} bytes; big-endian files are not read`,
  );
}
