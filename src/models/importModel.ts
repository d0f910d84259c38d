/** A model file from PyTorch's files, and from safetensors of other origin or precision. */
import { CheckpointError } from '../wire/checkpointError.js';
import { type NamedTensors, parseSafetensors } from '../wire/safetensors.js';
import { describeNotRead } from '../wire/torch/foreignObjects.js';
import { isTorchFile, readTorchFile, type TorchCheckpoint } from '../wire/torch/torchCheckpoint.js';
import { type ModelDescription, readModelFile, writeModelFile } from './modelFile.js';
import {
  type BareTensors,
  type NamesOf,
  prefixNote,
  underPrefix,
  withoutPrefix,
} from './foreign/namePrefix.js';
import type { TrainerMeta } from './foreign/mmsegMeta.js';
import { isRunningStatistic } from './modelState.js';
import { namedFloats } from './namedValues.js';
import { SegmentationNetwork } from './network.js';

/** What is this large or larger becomes infinite in half precision. */
const HALF_LIMIT = 65520;
/** More names than any network has. */
const MOST_LISTED = 1000;

export interface ImportSource extends BareTensors {
  /** null: the file says nothing of the network that it belongs to. */
  readonly description: ModelDescription | null;
  /** Names of the classes of what a PyTorch file has beside tensors and plain data; null: nothing. */
  readonly notRead: string | null;
  /** What the trainer wrote beside the weights. */
  readonly meta: TrainerMeta;
}

export interface ImportChoices {
  /** The key under which a PyTorch file has the state dict, see readTorchFile. */
  readonly key?: string | undefined;
  /** Only the names that begin so are taken; without it what stands before all names goes. */
  readonly prefix?: string | undefined;
  /** 'network' unless said. */
  readonly namesOf?: NamesOf;
}

/**
 * A model file, or a state dict of other origin: plain safetensors, or what torch.save wrote.
 * Throws CheckpointError: no such file, a truncated file, an unusable description, names of which some
 * have a wrapper's prefix and others don't.
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

/** A line for each thing that a user should know of how a file was read. */
export function sourceNotes(source: ImportSource): string[] {
  const { notRead } = source;
  return [prefixNote(source), notRead === null ? null : `not read: ${notRead}`].filter(
    (note) => note !== null,
  );
}

/**
 * The bytes of a model file with its weights in F32 or F16, running statistics always in F32. Throws
 * CheckpointError where the weights aren't exactly those of the described network (all names and shapes
 * that don't fit are listed; batch counts may be missing unless `isOwn`), or hold a value that isn't
 * finite or doesn't fit the precision.
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

/** Throws CheckpointError naming the tensor where a value can't be in a model file of this precision. */
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
