/** Makes model files from PyTorch's files, and from safetensors of other origin or precision. */
import { CheckpointError } from '../../wire/checkpointError.js';
import { type NamedTensors, parseSafetensors } from '../../wire/safetensors.js';
import { describeNotRead } from '../../wire/torch/foreignObjects.js';
import {
  isTorchFile,
  readTorchFile,
  type TorchCheckpoint,
} from '../../wire/torch/torchCheckpoint.js';
import { type ModelDescription, readModelFile, writeModelFile } from './modelFile.js';
import {
  type BareTensors,
  type NamesOf,
  prefixNote,
  underPrefix,
  withoutPrefix,
} from '../foreign/namePrefix.js';
import type { TrainerMeta } from '../foreign/mmsegMeta.js';
import { isRunningStatistic } from '../modelState.js';
import { namedFloats } from '../namedValues.js';
import { SegmentationNetwork } from '../network.js';

/** Magnitudes from here on become infinite in half precision. */
const HALF_LIMIT = 65520;
/** Above the number of names in any network. */
const MOST_LISTED = 1000;

export interface ImportSource extends BareTensors {
  /** null: the file doesn't describe its network. */
  readonly description: ModelDescription | null;
  /** Class names of the objects that a PyTorch file holds besides tensors and plain data; null: none. */
  readonly notRead: string | null;
  /** What the trainer saved along with the weights. */
  readonly meta: TrainerMeta;
}

export interface ImportChoices {
  /** The key under which a PyTorch file has the state dict, see readTorchFile. */
  readonly key?: string | undefined;
  /** Take only the names with this prefix; unless given, the prefix common to all names is removed. */
  readonly prefix?: string | undefined;
  /** Default: 'network'. */
  readonly namesOf?: NamesOf;
}

/**
 * Reads a model file or a state dict of other origin: plain safetensors, or a file of torch.save.
 * Throws CheckpointError on a file of no known format, a truncated file, an unusable description, or names
 * of which only some have a wrapper's prefix.
 */
export function readImportSource(bytes: Uint8Array, choices: ImportChoices = {}): ImportSource {
  const { key, prefix, namesOf = 'network' } = choices;
  const bare = (tensors: NamedTensors) =>
    prefix === undefined ? withoutPrefix(tensors, namesOf) : underPrefix(tensors, prefix, namesOf);
  if (isTorchFile(bytes)) {
    const file = readTorchFile(bytes, key);
    return {
      description: null,
      notRead: describeNotRead(file.notRead),
      meta: trainerMeta(file),
      ...bare(file.tensors),
    };
  }
  if (key !== undefined) {
    throw new CheckpointError(`key '${key}' given, only PyTorch files have state dicts by key`);
  }
  const { tensors, metadata } = parse(bytes);
  const described = metadata['format']?.startsWith('cirkd-model/') === true;
  return {
    description: described ? readModelFile(bytes).description : null,
    notRead: null,
    meta: { config: null, classNames: null },
    ...bare(tensors),
  };
}

function trainerMeta(file: TorchCheckpoint): TrainerMeta {
  return {
    config: file.text('meta', 'cfg') ?? file.text('meta', 'config'),
    classNames: file.texts('meta', 'dataset_meta', 'classes') ?? file.texts('meta', 'CLASSES'),
  };
}

/** Lines for the user on how the file was read. */
export function sourceNotes(source: ImportSource): string[] {
  const { notRead } = source;
  return [prefixNote(source), notRead === null ? null : `not read: ${notRead}`].filter(
    (note) => note !== null,
  );
}

/**
 * The bytes of a model file with weights in F32 or F16 and running statistics always in F32. Throws
 * CheckpointError if the weights don't match the described network exactly (the message lists every name
 * and shape that differs; batch counts may be missing unless `isOwn`), or if a value isn't finite or
 * doesn't fit the precision.
 */
export function convertModel(
  description: ModelDescription,
  tensors: NamedTensors,
  dtype: 'F32' | 'F16',
  isOwn = false,
): Uint8Array {
  const network = SegmentationNetwork.load(description.spec, tensors, {
    listed: MOST_LISTED,
    countsMayLack: !isOwn,
  });
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

/** Throws CheckpointError naming the tensor if a value can't be stored in a model file of this precision. */
export function checkValues(state: NamedTensors, dtype: 'F32' | 'F16'): void {
  for (const [name, tensor] of state) {
    if (tensor.dtype !== 'F32') continue;
    const isHalved = dtype === 'F16' && !isRunningStatistic(name);
    for (const value of namedFloats(name, tensor)) {
      if (!Number.isFinite(value)) {
        throw new CheckpointError(`${name}: holds ${value}, wanted finite numbers`);
      }
      if (isHalved && Math.abs(value) >= HALF_LIMIT) {
        throw new CheckpointError(`${name}: holds ${value}, too large for fp16; use fp32`);
      }
    }
  }
}
