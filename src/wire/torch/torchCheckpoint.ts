/**
 * Reads what torch.save wrote: the tensors of a state dict, alone or beside other things; of both
 * forms, the zip archive and the row of pickles of before PyTorch 1.6.
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

/** Strides of 0 and shared storages make more of a file than it has: this much more is copied. */
const FREE_BYTES = 64 * 2 ** 20;
const LARGEST_COPY_BYTES = 2 ** 31;
/** To the end of "ustar": the mode's digits are at 100, this at 257. */
const TAR_HEADER_BYTES = 263;

export interface TorchCheckpoint {
  /** Names to logical C-order contents, in the file's order. */
  readonly tensors: Map<string, NamedTensor>;
  /** What else is in the file and no plain data: names alone, see foreignObjects.ts. */
  readonly notRead: NotRead;
  /** A string beside the tensors, by the keys that lead to it; null where there is none. */
  text(...path: readonly string[]): string | null;
  /** A list of strings likewise. */
  texts(...path: readonly string[]): readonly string[] | null;
}

/** Whether the bytes begin like a file of torch.save, of today or of before PyTorch 1.6. */
export function isTorchFile(bytes: Uint8Array): boolean {
  return isZip(bytes) || isLegacy(bytes) || isTar(bytes);
}

/** The tensors of `readTorchFile`. */
export function readTorchCheckpoint(bytes: Uint8Array, wrapper?: string): Map<string, NamedTensor> {
  return readTorchFile(bytes, wrapper).tensors;
}

/**
 * Values beside tensors are left out. Contiguous tensors are views on `bytes`. `wrapper`: the key under
 * which the state dict is, with dots between several; where it isn't given, the usual ones are tried.
 * What is allocated: at most 128 bytes for each byte of the file's pickles, of which a million opcodes are
 * read; and for tensors that are copied at most the file's size and 64 MiB more.
 * Throws CheckpointError on anything that is no sound checkpoint; see torchRules.ts for what may be in it.
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
    "no PyTorch file: it begins neither like a zip archive nor with torch.save's magic number",
  );
}

function isTar(bytes: Uint8Array): boolean {
  const header = Buffer.from(bytes.subarray(0, TAR_HEADER_BYTES)).toString('latin1');
  return /^.{100}[0-7 \0]{8}.{149}ustar[ \0]/s.test(header);
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
