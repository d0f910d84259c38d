/** A model file from PyTorch's files, and from safetensors of other origin or precision. */
import { CheckpointError } from '../wire/checkpointError.js';
import { type NamedTensors, parseSafetensors } from '../wire/safetensors.js';
import { describeNotRead } from '../wire/torch/foreignObjects.js';
import { isTorchFile, readTorchFile } from '../wire/torch/torchCheckpoint.js';
import { type ModelDescription, readModelFile, writeModelFile } from './modelFile.js';
import { namedFloats } from './namedValues.js';
import { SegmentationNetwork } from './network.js';

/** What DataParallel puts before every name. */
const WRAPPER = 'module.';
/** What is this large or larger becomes infinite in half precision. */
const HALF_LIMIT = 65520;
/** More names than any network has. */
const MOST_LISTED = 1000;

export interface ImportSource {
  /** null: the file says nothing of the network that it belongs to. */
  readonly description: ModelDescription | null;
  /** Names without the wrapper's prefix. */
  readonly tensors: NamedTensors;
  /** Names of the classes of what a PyTorch file has beside tensors and plain data; null: nothing. */
  readonly notRead: string | null;
}

/**
 * A model file, or a state dict with official names: plain safetensors, or what torch.save wrote.
 * `wrapper` is for the latter, see readTorchFile.
 * Throws CheckpointError: no such file, a truncated file, an unusable description.
 */
export function readImportSource(bytes: Uint8Array, wrapper?: string): ImportSource {
  if (isTorchFile(bytes)) {
    const { tensors, notRead } = readTorchFile(bytes, wrapper);
    return {
      description: null,
      tensors: withoutPrefix(tensors),
      notRead: describeNotRead(notRead),
    };
  }
  if (wrapper !== undefined) {
    throw new CheckpointError(`key '${wrapper}' given, only PyTorch files have state dicts by key`);
  }
  const { tensors, metadata } = parse(bytes);
  const described = metadata['format']?.startsWith('cirkd-model/') === true;
  return {
    description: described ? readModelFile(bytes).description : null,
    tensors: withoutPrefix(tensors),
    notRead: null,
  };
}

/**
 * The bytes of a model file, all weights F32 or all F16. Throws CheckpointError where the weights
 * aren't exactly those of the described network (all names and shapes that don't fit are listed), or
 * hold a value that isn't finite or doesn't fit the precision.
 */
export function convertModel(
  description: ModelDescription,
  tensors: NamedTensors,
  dtype: 'F32' | 'F16',
): Uint8Array {
  const network = SegmentationNetwork.load(description.spec, tensors, MOST_LISTED);
  try {
    const state = network.stateDict();
    checkValues(state, dtype);
    return writeModelFile(description, state, dtype);
  } finally {
    network.dispose();
  }
}

function parse(bytes: Uint8Array) {
  try {
    return parseSafetensors(bytes);
  } catch (error) {
    throw new CheckpointError((error as Error).message);
  }
}

function withoutPrefix(tensors: NamedTensors): NamedTensors {
  const stripped = new Map(
    [...tensors].map(([name, tensor]) => [
      name.startsWith(WRAPPER) ? name.slice(WRAPPER.length) : name,
      tensor,
    ]),
  );
  if (stripped.size < tensors.size) {
    throw new CheckpointError(`weights: some names come with and without the prefix '${WRAPPER}'`);
  }
  return stripped;
}

function checkValues(state: NamedTensors, dtype: 'F32' | 'F16'): void {
  for (const [name, tensor] of state) {
    if (tensor.dtype !== 'F32') continue;
    for (const value of namedFloats(name, tensor)) {
      if (!Number.isFinite(value)) {
        throw new CheckpointError(`${name}: holds ${value}, wanted finite numbers`);
      }
      if (dtype === 'F16' && Math.abs(value) >= HALF_LIMIT) {
        throw new CheckpointError(`${name}: holds ${value}, too large for fp16; use fp32`);
      }
    }
  }
}
