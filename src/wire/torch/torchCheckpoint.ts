/** Reads what torch.save wrote: the tensors of a state dict, alone or beside other things. */
import { CheckpointError } from '../checkpointError.js';
import type { NamedTensor } from '../safetensors.js';
import { readPickle } from './pickleReader.js';
import { kindOf, PickleDict, shown } from './pickleValues.js';
import { PickledTensor, torchRules } from './torchRules.js';
import { contiguous, logicalBytes, type TorchTensor } from './torchTensor.js';
import { readZip, type ZipEntries } from './zipReader.js';

const PICKLE = 'data.pkl';
const LARGEST_PICKLE_BYTES = 64 * 2 ** 20;
/** Strides of 0 and shared storages make more of a file than it has; this much is believed. */
const MOST_BYTES_OF_A_FILE = 16;
const FREE_BYTES = 64 * 2 ** 20;
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

/** A pickle whose first value is an integer: the magic number. Its LONG1 no safetensors file has. */
function isLegacy(bytes: Uint8Array): boolean {
  return bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5 && bytes[2] === 0x8a;
}

function openArchive(entries: ZipEntries) {
  const names = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (names.length !== 1) {
    throw new CheckpointError(
      `zip archive: ${names.length} entries named <folder>/${PICKLE}, wanted one: no PyTorch checkpoint`,
    );
  }
  const folder = names[0]!.slice(0, -PICKLE.length - 1);
  const order = entries.get(`${folder}/byteorder`);
  if (order !== undefined && String(Buffer.from(order)) !== 'little') {
    throw new CheckpointError('byteorder: not little; big-endian files are not read');
  }
  const pickle = entries.get(names[0]!)!;
  if (pickle.byteLength > LARGEST_PICKLE_BYTES) {
    throw new CheckpointError(
      `${PICKLE}: ${pickle.byteLength} bytes, wanted at most ${LARGEST_PICKLE_BYTES}`,
    );
  }
  return { folder, pickle, entries };
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
    if (typeof name === 'string' && value instanceof PickledTensor) found.set(name, value.tensor);
  }
  if (found.size > 0) return found;
  throw new CheckpointError(
    `the checkpoint holds no tensors by name; its keys are ${keysOf(dict)}`,
  );
}

function isTensor(value: unknown): boolean {
  return value instanceof PickledTensor;
}

function keysOf({ entries }: PickleDict): string {
  const keys = [...entries.keys()];
  const some = keys.slice(0, 8).map((key) => (typeof key === 'string' ? shown(key) : kindOf(key)));
  return `${some.join(', ') || 'none'}${keys.length > 8 ? ` and ${keys.length - 8} more` : ''}`;
}

/** Names of one tensor object share its contents. */
function materialised(
  tensors: ReadonlyMap<string, TorchTensor>,
  fileBytes: number,
): Map<string, NamedTensor> {
  const most = FREE_BYTES + MOST_BYTES_OF_A_FILE * fileBytes;
  let bytes = 0;
  for (const tensor of tensors.values()) bytes += logicalBytes(tensor);
  if (bytes > most) {
    throw new CheckpointError(
      `the tensors have ${bytes} bytes, the file ${fileBytes}: more than ${most} are not believed`,
    );
  }
  const made = new Map<TorchTensor, NamedTensor>();
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const known = made.get(tensor) ?? contiguous(tensor);
      made.set(tensor, known);
      return [name, known] as const;
    }),
  );
}
