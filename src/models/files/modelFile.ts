/** A trained network in one file: safetensors with a description in the metadata. */
import { CheckpointError } from '../../wire/checkpointError.js';
import { encodeHalf } from '../../wire/half.js';
import { printable, withoutControls } from '../../wire/printable.js';
import {
  formatSafetensors,
  type NamedTensor,
  type NamedTensors,
  parseSafetensors,
} from '../../wire/safetensors.js';
import { isRunningStatistic } from '../modelState.js';
import { namedFloats } from '../namedValues.js';
import type { PixelNormalisation } from '../normalise.js';
import type { ModelName, NetworkSpec, Variant } from '../spec.js';
import { checkSpec } from '../zoo.js';
import { WeightsFile } from './storedWeights.js';

const FORMAT = 'cirkd-model/1';

export interface ModelDescription {
  readonly spec: NetworkSpec;
  readonly normalisation: PixelNormalisation;
  /** One name per class, in the order of the logits. */
  readonly classNames: readonly string[];
}

export interface ModelFile {
  readonly description: ModelDescription;
  /** Official names and layouts; F32, F16 or both, counts in I64. Views of the file's bytes. */
  readonly tensors: NamedTensors;
}

/**
 * F16 halves the file and rounds weights to the nearest half. Running statistics stay F32: variances of
 * real networks exceed the range of a half, and they make up a hundredth of the file.
 */
export function writeModelFile(
  description: ModelDescription,
  tensors: NamedTensors,
  dtype: 'F32' | 'F16' = 'F32',
): Uint8Array {
  const stored = dtype === 'F32' ? tensors : halved(tensors);
  return formatSafetensors(stored, writeModelMetadata(description));
}

/** The metadata alone, for files that are written elsewhere (a checkpoint's student). */
export function writeModelMetadata(description: ModelDescription): Record<string, string> {
  const { spec, normalisation, classNames } = description;
  const metadata = {
    format: FORMAT,
    model: spec.model,
    backbone: spec.backbone,
    variant: spec.variant,
    num_classes: String(spec.numClasses),
    width_multiplier: String(spec.widthMultiplier),
    ...(spec.auxHead === false ? { aux_head: 'false' } : {}),
    ...(spec.alignCorners === undefined ? {} : { align_corners: String(spec.alignCorners) }),
    pixel_mean: JSON.stringify(normalisation.pixelMean),
    pixel_std: JSON.stringify(normalisation.pixelStd),
    channel_order: normalisation.channelOrder,
    class_names: JSON.stringify(classNames),
  };
  // A description that no reader accepts must not get into a file.
  describe(metadata);
  return metadata;
}

/**
 * Throws CheckpointError naming the key on a truncated file or on a description that is incomplete or of an
 * unknown network. The weights are checked when a network loads them.
 */
export function readModelFile(bytes: Uint8Array): ModelFile {
  return naming('model file', () => {
    const { tensors, metadata } = parseSafetensors(bytes);
    return { description: describe(metadata), tensors };
  });
}

/** A model file that is read weight by weight. Close its weights. */
export interface OpenModelFile {
  readonly description: ModelDescription;
  readonly weights: WeightsFile;
}

/** Reads the header. Throws as readModelFile does, and the system's error if the file can't be read. */
export function openModelFile(path: string): OpenModelFile {
  return naming('model file', () => {
    const weights = new WeightsFile(path);
    try {
      return { description: describe(weights.metadata), weights };
    } catch (error) {
      weights.close();
      throw error;
    }
  });
}

function naming<Result>(what: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const isSystems = error instanceof Error && 'syscall' in error;
    if (error instanceof CheckpointError || isSystems) throw error;
    throw new CheckpointError(`${what}: ${withoutControls((error as Error).message)}`);
  }
}

type Metadata = Readonly<Record<string, string>>;

function describe(metadata: Metadata): ModelDescription {
  if (metadata['format'] !== FORMAT) {
    throw new CheckpointError(
      `format: '${printable(String(metadata['format']))}' given, wanted '${FORMAT}'`,
    );
  }
  const spec: NetworkSpec = {
    model: text(metadata, 'model') as ModelName,
    backbone: text(metadata, 'backbone'),
    variant: text(metadata, 'variant') as Variant,
    numClasses: Number(text(metadata, 'num_classes')),
    widthMultiplier: Number(text(metadata, 'width_multiplier')),
    ...auxHead(metadata),
    ...alignCorners(metadata),
  };
  checkFileSpec(spec);
  const channelOrder = text(metadata, 'channel_order');
  if (channelOrder !== 'rgb' && channelOrder !== 'bgr') {
    throw new CheckpointError(
      `channel_order: '${printable(channelOrder)}' given, wanted 'rgb' or 'bgr'`,
    );
  }
  const pixelStd = threeNumbers(metadata, 'pixel_std');
  if (pixelStd.some((value) => value <= 0)) {
    throw new CheckpointError(`pixel_std: [${pixelStd}] given, wanted numbers above 0`);
  }
  const pixelMean = threeNumbers(metadata, 'pixel_mean');
  const classNames = json(metadata, 'class_names');
  const areNames =
    Array.isArray(classNames) && classNames.every((name) => typeof name === 'string');
  if (!areNames || classNames.length !== spec.numClasses) {
    throw new CheckpointError(
      `class_names: ${printable(String(metadata['class_names']))} given, wanted a list of ${spec.numClasses} names`,
    );
  }
  return { spec, normalisation: { pixelMean, pixelStd, channelOrder }, classNames };
}

/** The key is present only if the network has no auxiliary head. */
function auxHead(metadata: Metadata): { readonly auxHead?: false } {
  const value = metadata['aux_head'];
  if (value === undefined) return {};
  if (value === 'false') return { auxHead: false };
  throw new CheckpointError(`aux_head: '${printable(value)}' given, wanted 'false' or none`);
}

/** The key is present only if the network differs from others of its origin. */
function alignCorners(metadata: Metadata): { readonly alignCorners?: boolean } {
  const value = metadata['align_corners'];
  if (value === undefined) return {};
  if (value === 'true' || value === 'false') return { alignCorners: value === 'true' };
  throw new CheckpointError(`align_corners: '${printable(value)}' given, wanted 'true' or 'false'`);
}

/** The messages of checkSpec name the spec's fields, which match the file's keys except for their case. */
function checkFileSpec(spec: NetworkSpec): void {
  naming('model file', () => checkSpec(spec));
}

function text(metadata: Metadata, key: string): string {
  const value = metadata[key];
  if (typeof value !== 'string') {
    throw new CheckpointError(`${key}: missing in the file's metadata`);
  }
  return value;
}

function json(metadata: Metadata, key: string): unknown {
  try {
    return JSON.parse(text(metadata, key));
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${key}: '${printable(String(metadata[key]))}' given, wanted JSON`);
  }
}

function threeNumbers(metadata: Metadata, key: string): number[] {
  const value = json(metadata, key);
  if (Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)) {
    return value as number[];
  }
  throw new CheckpointError(
    `${key}: ${printable(String(metadata[key]))} given, wanted a list of three numbers`,
  );
}

function halved(tensors: NamedTensors): Map<string, NamedTensor> {
  const result = new Map<string, NamedTensor>();
  for (const [name, tensor] of tensors) {
    if (tensor.dtype !== 'F32' || isRunningStatistic(name)) {
      result.set(name, tensor);
      continue;
    }
    const halves = encodeHalf(namedFloats(name, tensor));
    result.set(name, { dtype: 'F16', shape: tensor.shape, data: new Uint8Array(halves.buffer) });
  }
  return result;
}
