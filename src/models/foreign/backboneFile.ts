/**
 * Reads published backbones that were trained to classify ImageNet: torchvision's, those that CIRKD's code
 * starts from, PyTorch-Encoding's and mmsegmentation's. They are distinguished by names and shapes.
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensors } from '../../wire/safetensors.js';
import {
  OFFICIAL_NORMALISATION,
  type PixelNormalisation,
  TORCHVISION_NORMALISATION,
} from '../normalise.js';
import { CIRKD_HEAD_NAME } from '../backbones/mit/mitForm.js';
import { detectMit, mitFormOf } from '../backbones/mit/mitNames.js';
import { RESNETS } from '../backbones/resnet.js';
import { PREFIX_OPTIONS } from './namePrefix.js';

/** Names and PyTorch shapes of a file's tensors or a network's entries. */
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

export interface BackboneFile {
  /** Named as in networks, without the backbone's prefix. */
  readonly tensors: NamedTensors;
  /** Names of the classifier's weights, which no segmentation network has. */
  readonly leftOut: readonly string[];
  /** The pixel normalisation with which files with such names were trained. */
  readonly normalisation: PixelNormalisation;
}

/** The backbone's prefix in networks of the official code, torchvision and mmsegmentation. */
const NETWORK_PREFIX = /^(pretrained\.|backbone\.)/;

/** Names that only the classifier has. MobileNetV2's last 1x1 convolution is features.18 or conv. */
const RESNET_CLASSIFIER = /^fc\./;
const MOBILENET_CLASSIFIER = /^(classifier|features\.18|conv)\./;

const MOBILENET_FIRST_WEIGHT = 'features.0.0.weight';

/** Maps the deep stem's names in PyTorch-Encoding (one Sequential) to the official code's. */
const SEQUENTIAL_STEM: Readonly<Record<string, string>> = {
  'conv1.0': 'conv1',
  'conv1.1': 'bn1',
  'conv1.3': 'conv2',
  'conv1.4': 'bn2',
  'conv1.6': 'conv3',
  bn1: 'bn3',
};

/** Suffixes of backbone names for stems other than the deep one: resnet50_plain, resnet50_v1c. */
const STEM_SUFFIXES = ['_plain', '_v1c'];

/**
 * Takes names without a wrapper's prefix, see namePrefix.ts. Throws CheckpointError on the names of a whole
 * network. Names and shapes are otherwise checked by the network that loads them.
 */
export function readBackboneFile(given: NamedTensors): BackboneFile {
  const mit = readMitFile(given);
  if (mit !== null) return mit;
  refuseNetwork([...given.keys()]);
  const isMobilenet = given.has(MOBILENET_FIRST_WEIGHT);
  const rest = isMobilenet ? MOBILENET_CLASSIFIER : RESNET_CLASSIFIER;
  const own = new Map([...given].filter(([name]) => !rest.test(name)));
  const leftOut = [...given.keys()].filter((name) => rest.test(name));
  if (isMobilenet) {
    const nested = isNested(own);
    return {
      tensors: nested ? renamed(own, flatName) : own,
      leftOut,
      normalisation: nested ? TORCHVISION_NORMALISATION : OFFICIAL_NORMALISATION,
    };
  }
  const isDeep = own.get('conv1.weight')?.shape[2] === 3;
  return {
    tensors: own.has('conv1.0.weight') ? renamed(own, officialStemName) : own,
    leftOut,
    normalisation: isDeep ? OFFICIAL_NORMALISATION : TORCHVISION_NORMALISATION,
  };
}

/** transformers' names begin so even in files of a backbone alone. */
const HUGGING_FACE_PREFIX = 'segformer.encoder.';
/** NVIDIA's and transformers' classifiers. */
const MIT_CLASSIFIER = /^(head|classifier)\./;

/** A Mix Transformer as published; its names stay those of its form. null: another file. */
function readMitFile(given: NamedTensors): BackboneFile | null {
  const bare = new Map(
    [...given].map(([name, tensor]) =>
      name.startsWith(HUGGING_FACE_PREFIX)
        ? [name.slice(HUGGING_FACE_PREFIX.length), tensor]
        : [name, tensor],
    ),
  );
  const isHead = (name: string) => /^decode_head\./.test(name) || CIRKD_HEAD_NAME.test(name);
  if (mitFormOf([...bare.keys()]) === null || [...bare.keys()].some(isHead)) return null;
  const names = [...bare.keys()];
  return {
    tensors: new Map([...bare].filter(([name]) => !MIT_CLASSIFIER.test(name))),
    leftOut: names.filter((name) => MIT_CLASSIFIER.test(name)),
    normalisation: TORCHVISION_NORMALISATION,
  };
}

function refuseNetwork(names: readonly string[]): void {
  const [, prefix] = names.map((name) => NETWORK_PREFIX.exec(name)).find((found) => found) ?? [];
  if (prefix === undefined) return;
  throw new CheckpointError(
    `weights: names begin with '${prefix}': a whole network's, not a backbone's; to take its ` +
      `backbone: ${PREFIX_OPTIONS} ${prefix}`,
  );
}

/**
 * The backbone's name in the table of networks: resnet18, resnet50_plain, resnet101_v1c, mobilenetv2; null
 * if the tensor names fit none. Ignores widths.
 */
export function detectBackboneName(shapes: Shapes): string | null {
  if (mitFormOf([...shapes.keys()]) !== null) {
    // With a head it is a whole network of CIRKD's form.
    return [...shapes.keys()].some((name) => CIRKD_HEAD_NAME.test(name)) ? null : detectMit(shapes);
  }
  if (shapes.has(MOBILENET_FIRST_WEIGHT)) return 'mobilenetv2';
  const names = [...shapes.keys()];
  const suffix = stemSuffix(shapes);
  const counts = [1, 2, 3, 4].map((layer) => blocksOf(names, layer));
  const expansion = shapes.has('layer1.0.conv3.weight') ? 4 : 1;
  const found = Object.entries(RESNETS).find(
    ([, resnet]) => resnet.counts.join() === counts.join() && resnet.expansion === expansion,
  );
  return found === undefined || suffix === null ? null : found[0] + suffix;
}

/** `backbone` with the stem that these weights have, and the weight that shows it; null if none does. */
export function detectStem(
  shapes: Shapes,
  backbone: string,
): { readonly backbone: string; readonly weight: string } | null {
  const suffix = stemSuffix(shapes);
  if (suffix === null) return null;
  const plainName = STEM_SUFFIXES.reduce((name, end) => name.replace(end, ''), backbone);
  const weight = suffix === '_v1c' ? 'stem.0.weight' : 'conv1.weight';
  return { backbone: plainName + suffix, weight };
}

function stemSuffix(shapes: Shapes): string | null {
  if (shapes.has('stem.0.weight')) return '_v1c';
  const kernel = shapes.get('conv1.weight')?.shape[2];
  if (kernel === undefined) return null;
  return kernel === 7 ? '_plain' : '';
}

function blocksOf(names: readonly string[], layer: number): number {
  const block = new RegExp(`^layer${layer}\\.(\\d{1,3})\\.`);
  // Not Math.max(...numbers): a file may have more names than a call takes arguments.
  return names.reduce((count, name) => Math.max(count, Number(block.exec(name)?.[1] ?? -1) + 1), 0);
}

function renamed(tensors: NamedTensors, rename: (name: string) => string): NamedTensors {
  return new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));
}

function officialStemName(name: string): string {
  const end = name.lastIndexOf('.');
  const official = SEQUENTIAL_STEM[name.slice(0, end)];
  return official === undefined ? name : official + name.slice(end);
}

/** Whether a MobileNetV2 has torchvision's names: each convolution in a module with its norm and activation. */
function isNested(tensors: NamedTensors): boolean {
  return [...tensors.keys()].some((name) => /^features\.\d+\.conv\.\d\.\d\./.test(name));
}

/**
 * Renames torchvision's nested modules to one flat list. A block has two such modules (the very first block
 * has one), then a bare convolution and norm: conv.1.0 and conv.2 become conv.3 and conv.6.
 */
function flatName(name: string): string {
  const nested = /^(features\.\d+\.conv)\.(\d)\.(\d)\.(.*)$/.exec(name);
  if (nested !== null) {
    const [, block, module, layer, rest] = nested;
    return `${block}.${3 * Number(module) + Number(layer)}.${rest}`;
  }
  const bare = /^(features\.(\d+)\.conv)\.(\d)\.(.*)$/.exec(name);
  if (bare === null) return name;
  const [, block, number, layer, rest] = bare;
  return `${block}.${Number(layer) + (number === '1' ? 2 : 4)}.${rest}`;
}
