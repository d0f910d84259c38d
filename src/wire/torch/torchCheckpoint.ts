/**
 * Reads files of torch.save: the tensors of a state dict, alone or among other values. Supports both
 * formats, the zip archive and the sequence of pickles of PyTorch before 1.6.
 */
import { CheckpointError } from '../checkpointError.js';
import type { NamedTensor } from '../safetensors.js';
import type { NotRead } from './foreignObjects.js';
import { isLegacy, readLegacyFile } from './legacyFile.js';
import { isZip, readZipFile } from './zipFile.js';
import { shown } from './pickle/values.js';
import { stateDictTensors, textAt, textsAt } from './stateDict.js';
import { TorchRules } from './torchRules.js';
import type { StorageSource } from './torchStorage.js';
import { contiguous, copiedBytes, type TorchTensor } from './torchTensor.js';

/** Bytes that copies may exceed the file's size: strides of 0 and shared storages multiply its data. */
const FREE_BYTES = 64 * 2 ** 20;
const LARGEST_COPY_BYTES = 2 ** 31;
/** Up to the end of "ustar" at 257; the mode's digits are at 100. */
const TAR_HEADER_BYTES = 263;

export interface TorchCheckpoint {
  /** Names to logical C-order contents, in the file's order. */
  readonly tensors: Map<string, NamedTensor>;
  /** Objects in the file besides tensors and plain data, by name only; see foreignObjects.ts. */
  readonly notRead: NotRead;
  /** The string at this path of keys; null if there is none. */
  text(...path: readonly string[]): string | null;
  /** The list of strings at this path of keys; null if there is none. */
  texts(...path: readonly string[]): readonly string[] | null;
}

/** Whether the bytes begin like a file of torch.save, in any of its formats. */
export function isTorchFile(bytes: Uint8Array): boolean {
  return isZip(bytes) || isLegacy(bytes) || isTar(bytes);
}

/** The tensors of `readTorchFile`. */
export function readTorchCheckpoint(bytes: Uint8Array, wrapper?: string): Map<string, NamedTensor> {
  return readTorchFile(bytes, wrapper).tensors;
}

/**
 * Reads the tensors and leaves out other values. Contiguous tensors are views of `bytes`. `wrapper`: the key
 * of the state dict, or several joined by dots; default: the usual keys.
 * Allocates at most 128 bytes per byte of the file's pickles, of which it reads at most 8 million opcodes,
 * and at most the file's size plus 64 MiB for copied tensors.
 * Throws CheckpointError on anything but a sound checkpoint; see torchRules.ts for what it may contain.
 */
export function readTorchFile(bytes: Uint8Array, wrapper?: string): TorchCheckpoint {
  let rules: TorchRules | undefined;
  const rulesOf = (storages: StorageSource) => {
    rules = new TorchRules(storages);
    return rules;
  };
  const root = readRoot(bytes, rulesOf);
  const tensors = materialised(stateDictTensors(root, wrapper), bytes.byteLength);
  return {
    tensors,
    notRead: rules!.foreign.notRead(),
    text: (...path) => textAt(root, path),
    texts: (...path) => textsAt(root, path),
  };
}

function readRoot(bytes: Uint8Array, rulesOf: (storages: StorageSource) => TorchRules): unknown {
  if (isZip(bytes)) return readZipFile(bytes, rulesOf);
  if (isLegacy(bytes)) return readLegacyFile(bytes, rulesOf);
  if (isTar(bytes)) {
    throw new CheckpointError(
      'a tar archive, which torch.save wrote before PyTorch 0.1.10 and which is not read; ' +
        'load it with PyTorch and save its state dict again',
    );
  }
  throw new CheckpointError(
    "not a PyTorch file: it begins neither like a zip archive nor with torch.save's magic number",
  );
}

function isTar(bytes: Uint8Array): boolean {
  const header = Buffer.from(bytes.subarray(0, TAR_HEADER_BYTES)).toString('latin1');
  return /^.{100}[0-7 \0]{8}.{149}ustar[ \0]/s.test(header);
}

/** Several names of one tensor object share its contents. Everything is checked before anything is copied. */
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

/** Throws CheckpointError naming the first tensor with which the copies exceed `most` bytes. */
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
