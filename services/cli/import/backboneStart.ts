/** A model file with a student's initial weights: a published backbone and a head drawn from a seed. */
import { IMAGENET_BACKBONES } from '../../../src/config/studentChecks.js';
import { loadBackboneWeights } from '../../../src/models/files/backboneWeights.js';
import { readBackboneFile, detectBackboneName } from '../../../src/models/foreign/backboneFile.js';
import { listed } from '../../../src/models/foreign/namePrefix.js';
import {
  checkValues,
  readImportSource,
  sourceNotes,
} from '../../../src/models/files/importModel.js';
import { initialWeights } from '../../../src/models/initialise.js';
import { type ModelDescription, writeModelFile } from '../../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import type { ModelName, NetworkSpec, Variant } from '../../../src/models/spec.js';
import type { NamedTensors } from '../../../src/wire/safetensors.js';
import { ensureNamedBackbone, isBackboneKey } from '../../setup/backboneFiles.mjs';
import { UsageError } from '../command.js';
import { wholeNumber } from '../datasetOptions.js';
import {
  checkNetwork,
  classNames,
  type DescriptionValues,
  normalisationOf,
  positive,
} from '../modelOptions.js';
import { readWeightsFile } from './weightsFile.js';

export interface BackboneStartValues extends DescriptionValues {
  /** imagenet, or a file. */
  readonly 'backbone-weights': string;
  readonly 'strip-prefix'?: string | undefined;
  readonly key?: string | undefined;
  readonly seed?: string | undefined;
}

export interface BackboneStart {
  readonly bytes: Uint8Array;
  /** Lines that report which weights were used and which weren't. */
  readonly lines: readonly string[];
}

/**
 * The weights of a student at its first step with the same backboneWeights and seed. Throws UsageError
 * naming the option, CheckpointError if the file can't be used, SetupError if weights given by name
 * can't be downloaded.
 */
export async function backboneStart(
  values: BackboneStartValues,
  dtype: 'F32' | 'F16',
): Promise<BackboneStart> {
  const { model, classes } = values;
  if (model === undefined) throw new UsageError('--model: required with --backbone-weights');
  if (classes === undefined) throw new UsageError('--classes: required with --backbone-weights');
  const seed = wholeNumber('--seed', values.seed ?? '0', 0);
  const names = classNames(classes);
  const { tensors, lines } = await readWeights(values);
  const file = readBackboneFile(tensors);
  const spec: NetworkSpec = {
    model: model as ModelName,
    backbone: values.backbone ?? backboneOf(file.tensors),
    variant: (values.variant ?? 'v1') as Variant,
    numClasses: names.length,
    widthMultiplier: positive('width', values.width) ?? 1,
  };
  checkNetwork(spec);
  const normalisation = normalisationOf(file.normalisation, values);
  const description = { spec, normalisation, classNames: names };
  const { bytes, leftOut } = write(description, tensors, seed, dtype);
  const left = leftOut.length === 0 ? [] : [`not used: ${leftOut.join(', ')}`];
  return { bytes, lines: [...lines, ...left, `head: random, from seed ${seed}`] };
}

function backboneOf(tensors: NamedTensors): string {
  const detected = detectBackboneName(tensors);
  if (detected !== null) return detected;
  const names = listed([...tensors.keys()]);
  throw new UsageError(`--backbone: required, it can't be detected from the names: ${names}`);
}

async function readWeights(
  values: BackboneStartValues,
): Promise<{ tensors: NamedTensors; lines: string[] }> {
  const name = values['backbone-weights'];
  const lines: string[] = [];
  const path = isBackboneKey(name) ? await namedFile(name, values, lines) : name;
  const source = readImportSource(await readWeightsFile(path), {
    ...{ namesOf: 'backbone', key: values.key },
    prefix: values['strip-prefix'],
  });
  return { tensors: source.tensors, lines: [...lines, ...sourceNotes(source)] };
}

async function namedFile(
  name: Parameters<typeof ensureNamedBackbone>[0],
  { backbone = IMAGENET_BACKBONES[0]!, width }: BackboneStartValues,
  lines: string[],
): Promise<string> {
  if ((positive('width', width) ?? 1) !== 1) {
    throw new UsageError(`--width: ${width} given, ${name} has the weights of width 1`);
  }
  const log = (text: string) => process.stderr.write(`${text}\n`);
  const { file, pin } = await ensureNamedBackbone(name, backbone, process.env, log);
  lines.push(`backbone: ${pin.source}; ${pin.licence}`);
  return file;
}

function write(
  description: ModelDescription,
  tensors: NamedTensors,
  seed: number,
  dtype: 'F32' | 'F16',
): { bytes: Uint8Array; leftOut: readonly string[] } {
  const network = SegmentationNetwork.create(description.spec, initialWeights(seed));
  try {
    const leftOut = loadBackboneWeights(network, tensors);
    const state = network.stateDict();
    checkValues(state, dtype);
    return { bytes: writeModelFile(description, state, dtype), leftOut };
  } finally {
    network.dispose();
  }
}
