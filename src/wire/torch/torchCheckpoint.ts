/** Reads what torch.save wrote: the tensors of a state dict, alone or beside other things. */
import { CheckpointError } from '../checkpointError.js';
import type { NamedTensor } from '../safetensors.js';
import { readPickle } from './pickleReader.js';
import { kindOf, PickleDict, shown } from './pickleValues.js';
import { PickledTensor, torchRules } from './torchRules.js';
import { contiguous, copiedBytes, type TorchTensor } from './torchTensor.js';
import { readZip, type ZipEntries } from './zipReader.js';

const PICKLE = 'data.pkl';
const LARGEST_PICKLE_BYTES = 64 * 2 ** 20;
/** Strides of 0 and shared storages make more of a file than it has: this much more is copied. */
const FREE_BYTES = 64 * 2 ** 20;
const LARGEST_COPY_BYTES = 2 ** 31;
const MOST_WRAPPERS = 4;
/** Under which trainers put the weights, in the order in which they are looked for. */
const WRAPPERS = [
  ...['state_dict', 'model_state_dict', 'model_state', 'model', 'network', 'net'],
  ...['student', 'module', 'weights', 'params'],
];

/** Whether the bytes begin like a file of torch.save, of today or of before PyTorch 1.6. */
export function isTorchFile(bytes: Uint8Array): boolean {
  return isZip(bytes) || isLegacy(bytes);
}

/**
 * Names to logical C-order contents, in the file's order; other values beside tensors are left out.
 * Contiguous tensors are views on `bytes`. `wrapper`: the key under which the state dict is, with
 * dots between several; where it isn't given, the usual ones are tried.
 * Throws CheckpointError on anything that is no sound checkpoint; see torchRules.ts for what may be in it.
 */
export function readTorchCheckpoint(bytes: Uint8Array, wrapper?: string): Map<string, NamedTensor> {
  if (isLegacy(bytes)) {
    throw new CheckpointError(
      'a PyTorch file of the form before 1.6 (a row of pickles, no zip), which is not read; ' +
        'torch.save of PyTorch 1.6 or newer writes zip files',
    );
  }
  if (!isZip(bytes)) throw new CheckpointError('no PyTorch file: it begins like no zip archive');
  const { folder, pickle, entries } = openArchive(readZip(bytes));
  const rules = torchRules((key) => entries.get(`${folder}/data/${key}`));
  const root = readPickle(pickle, rules);
  const dict = wrapper === undefined ? unwrapped(root) : under(root, wrapper.split('.'));
  return materialised(tensorsOf(dict), bytes.byteLength);
}

function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * A pickle whose first value is an integer (LONG1) of ten bytes: the magic number. As the length of
 * a safetensors header these bytes would be too large.
 */
function isLegacy(bytes: Uint8Array): boolean {
  const [proto, version, opcode, length] = bytes;
  return proto === 0x80 && version! >= 2 && version! <= 5 && opcode === 0x8a && length === 0x0a;
}

function openArchive(entries: ZipEntries) {
  const names = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (names.length !== 1) {
    throw new CheckpointError(
      `zip archive: ${names.length} entries named <folder>/${PICKLE}, wanted one: no PyTorch checkpoint`,
    );
  }
  const folder = names[0]!.slice(0, -PICKLE.length - 1);
  checkByteOrder(entries.get(`${folder}/byteorder`));
  const pickle = entries.get(names[0]!)!;
  if (pickle.byteLength > LARGEST_PICKLE_BYTES) {
    throw new CheckpointError(
      `${PICKLE}: ${pickle.byteLength} bytes, wanted at most ${LARGEST_PICKLE_BYTES}`,
    );
  }
  return { folder, pickle, entries };
}

/** An entry that isn't there is of a PyTorch that wrote little-endian files only. */
function checkByteOrder(order: Uint8Array | undefined): void {
  if (order === undefined) return;
  // Only the start is looked at: the entry may be as large as the file.
  const given = Buffer.from(order.subarray(0, 16)).toString('latin1');
  if (order.byteLength === given.length && given === 'little') return;
  throw new CheckpointError(
    `byteorder: not little but ${shown(given)} in ${order.byteLength} bytes; big-endian files are not read`,
  );
}

/** Goes down the usual keys as long as there is one with a dict; then that dict holds the tensors. */
function unwrapped(root: unknown): PickleDict {
  let dict = wantedDict(root, 'the checkpoint');
  for (let depth = 0; depth < MOST_WRAPPERS; depth++) {
    const { entries } = dict;
    const inner = WRAPPERS.map((key) => entries.get(key)).find((value) => isNest(value));
    if (inner === undefined) break;
    dict = inner as PickleDict;
  }
  return dict;
}

/** A dict with a tensor in it, or with one of the usual keys. */
function isNest(value: unknown): boolean {
  if (!(value instanceof PickleDict)) return false;
  const { entries } = value;
  return [...entries.values()].some(isTensor) || WRAPPERS.some((key) => entries.has(key));
}

function under(root: unknown, path: readonly string[]): PickleDict {
  let dict = wantedDict(root, 'the checkpoint');
  for (const key of path) {
    if (!dict.entries.has(key)) {
      throw new CheckpointError(
        `${shown(key)}: no such key in the checkpoint, which has ${keysOf(dict)}`,
      );
    }
    dict = wantedDict(dict.entries.get(key), shown(key));
  }
  return dict;
}

function wantedDict(value: unknown, what: string): PickleDict {
  if (value instanceof PickleDict) return value;
  throw new CheckpointError(`${what}: ${kindOf(value)}, wanted a dict of names to tensors`);
}

function tensorsOf(dict: PickleDict): Map<string, TorchTensor> {
  const found = new Map<string, TorchTensor>();
  for (const [name, value] of dict.entries) {
    if (value instanceof PickledTensor) found.set(name, value.tensor);
  }
  if (found.size > 0) return found;
  throw new CheckpointError(
    `the checkpoint holds no tensors by name; its keys are ${keysOf(dict)}`,
  );
}

function isTensor(value: unknown): boolean {
  return value instanceof PickledTensor;
}

function keysOf({ entries, others }: PickleDict): string {
  const keys = [...entries.keys()];
  const some = keys.slice(0, 8).map(shown);
  const more = keys.length + others - some.length;
  if (some.length === 0) return more > 0 ? `${more} that are no strings` : 'none';
  return `${some.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Names of one tensor object share its contents. All is checked before anything is copied. */
function materialised(
  tensors: ReadonlyMap<string, TorchTensor>,
  fileBytes: number,
): Map<string, NamedTensor> {
  checkCopies(tensors, FREE_BYTES + fileBytes);
  const made = new Map<TorchTensor, NamedTensor>();
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const known = made.get(tensor) ?? contiguous(tensor);
      made.set(tensor, known);
      return [name, known] as const;
    }),
  );
}

/** Throws CheckpointError that names the first tensor with which the copies are more than `most` bytes. */
function checkCopies(tensors: ReadonlyMap<string, TorchTensor>, most: number): void {
  const seen = new Set<TorchTensor>();
  let total = 0;
  for (const [name, tensor] of tensors) {
    if (seen.has(tensor)) continue;
    seen.add(tensor);
    const bytes = copiedBytes(tensor);
    total += bytes;
    if (bytes > LARGEST_COPY_BYTES) {
      throw new CheckpointError(
        `tensor ${shown(name)}: its strides make it ${bytes} bytes, wanted at most ${LARGEST_COPY_BYTES}`,
      );
    }
    if (total > most) {
      throw new CheckpointError(
        `tensor ${shown(name)}: its strides make it ${bytes} bytes, ${total} with those before it; ` +
          `for a file of this size at most ${most} are copied`,
      );
    }
  }
}
