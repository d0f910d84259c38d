/** A model file from safetensors of other origin or precision. */
import { CheckpointError } from '../wire/checkpointError.js';
import { type NamedTensors, parseSafetensors } from '../wire/safetensors.js';
import { type ModelDescription, readModelFile, writeModelFile } from './modelFile.js';
import { namedFloats } from './namedValues.js';
import { SegmentationNetwork } from './network.js';

/** What DataParallel puts before every name. */
const WRAPPER = 'module.';
/** What is this large or larger becomes infinite in half precision. */
const HALF_LIMIT = 65520;

export interface ImportSource {
  /** null: the file says nothing of the network that it belongs to. */
  readonly description: ModelDescription | null;
  /** Names without the wrapper's prefix. */
  readonly tensors: NamedTensors;
}

/**
 * A model file, or a plain state dict with official names.
 * Throws CheckpointError: a PyTorch file, no safetensors, a truncated file, an unusable description.
 */
export function readImportSource(bytes: Uint8Array): ImportSource {
  refusePyTorch(bytes);
  const { tensors, metadata } = parse(bytes);
  const described = metadata['format']?.startsWith('cirkd-model/') === true;
  return {
    description: described ? readModelFile(bytes).description : null,
    tensors: withoutPrefix(tensors),
  };
}

/**
 * The bytes of a model file, all weights F32 or all F16. Throws CheckpointError where the weights aren't exactly those of the
 * described network (names and shapes are listed), or hold a value that isn't finite or doesn't fit
 * the precision.
 */
export function convertModel(
  description: ModelDescription,
  tensors: NamedTensors,
  dtype: 'F32' | 'F16',
): Uint8Array {
  const network = SegmentationNetwork.load(description.spec, tensors);
  try {
    const state = network.stateDict();
    checkValues(state, dtype);
    return writeModelFile(description, state, dtype);
  } finally {
    network.dispose();
  }
}

/** torch.save makes a zip; before PyTorch 1.6 it made a pickle. */
function refusePyTorch(bytes: Uint8Array): void {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
  const isPickle = bytes[0] === 0x80 && bytes[1]! <= 5 && bytes[2] === 0x8a;
  if (!isZip && !isPickle) return;
  throw new CheckpointError(
    'a PyTorch file (.pth), which this version does not read; it reads safetensors: a model file ' +
      'of cirkd (student.safetensors of a checkpoint), or a state dict with official names. In ' +
      "Python, safetensors.torch.save_file(state_dict, 'weights.safetensors') makes one",
  );
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
