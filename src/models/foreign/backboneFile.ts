/**
 * The files in which backbones are published that learnt to classify ImageNet: torchvision's, those that
 * CIRKD's code begins from, PyTorch-Encoding's and mmsegmentation's, told apart by names and shapes.
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensors } from '../../wire/safetensors.js';
import {
  OFFICIAL_NORMALISATION,
  type PixelNormalisation,
  TORCHVISION_NORMALISATION,
} from '../normalise.js';
import { RESNETS } from '../resnet.js';
import { PREFIX_OPTIONS } from './namePrefix.js';

/** A name and PyTorch's shape: of a file's tensors or of a network's entries. */
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

export interface BackboneFile {
  /** Under the names that networks have behind their backbone's prefix. */
  readonly tensors: NamedTensors;
  /** The classifier's, which no segmentation network has. */
  readonly leftOut: readonly string[];
  /** The pixels that files with such names were trained on. */
  readonly normalisation: PixelNormalisation;
}

/** What networks put before their backbone's names: the official code, torchvision and mmsegmentation. */
const OF_NETWORKS = /^(pretrained\.|backbone\.)/;

/** What only the classifying network has. MobileNetV2's last 1x1 convolution is features.18 or conv. */
const RESNET_REST = /^fc\./;
const MOBILENET_REST = /^(classifier|features\.18|conv)\./;

const MOBILENET_FIRST = 'features.0.0.weight';

/** The deep stem in one Sequential, as PyTorch-Encoding has it, to the official code's names. */
const SEQUENTIAL_STEM: Readonly<Record<string, string>> = {
  'conv1.0': 'conv1',
  'conv1.1': 'bn1',
  'conv1.3': 'conv2',
  'conv1.4': 'bn2',
  'conv1.6': 'conv3',
  bn1: 'bn3',
};

/** By the end of a backbone's name: resnet50 (deep), resnet50_plain, resnet50_v1c. */
const STEM_SUFFIXES = ['_plain', '_v1c'];

/**
 * Names without a prefix, see namePrefix.ts. Whether they and their shapes fit is a network's to say;
 * only those of a whole network are a CheckpointError here.
 */
export function readBackboneFile(given: NamedTensors): BackboneFile {
  refuseNetwork([...given.keys()]);
  const isMobilenet = given.has(MOBILENET_FIRST);
  const rest = isMobilenet ? MOBILENET_REST : RESNET_REST;
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

function refuseNetwork(names: readonly string[]): void {
  const [, prefix] = names.map((name) => OF_NETWORKS.exec(name)).find((found) => found) ?? [];
  if (prefix === undefined) return;
  throw new CheckpointError(
    `weights: names begin with '${prefix}': a whole network's, not a backbone's; to take its ` +
      `backbone: ${PREFIX_OPTIONS} ${prefix}`,
  );
}

/**
 * As the table of networks names it: resnet18, resnet50_plain, resnet101_v1c, mobilenetv2. null where
 * the names are of none of them. Widths aren't looked at.
 */
export function tellBackboneName(shapes: Shapes): string | null {
  if (shapes.has(MOBILENET_FIRST)) return 'mobilenetv2';
  const names = [...shapes.keys()];
  const suffix = stemSuffix(shapes);
  const counts = [1, 2, 3, 4].map((layer) => blocksOf(names, layer));
  const expansion = shapes.has('layer1.0.conv3.weight') ? 4 : 1;
  const found = Object.entries(RESNETS).find(
    ([, resnet]) => resnet.counts.join() === counts.join() && resnet.expansion === expansion,
  );
  return found === undefined || suffix === null ? null : found[0] + suffix;
}

/** The same ResNet with the stem of these weights, and the weight that tells it; null where none does. */
export function withStemOf(
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
  const numbers = names.map((name) =>
    Number(new RegExp(`^layer${layer}\\.(\\d{1,3})\\.`).exec(name)?.[1] ?? -1),
  );
  return Math.max(...numbers) + 1;
}

function renamed(tensors: NamedTensors, rename: (name: string) => string): NamedTensors {
  return new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));
}

function officialStemName(name: string): string {
  const end = name.lastIndexOf('.');
  const official = SEQUENTIAL_STEM[name.slice(0, end)];
  return official === undefined ? name : official + name.slice(end);
}

/** Whether a MobileNetV2 has torchvision's names: convolution, norm, activation in modules of their own. */
function isNested(tensors: NamedTensors): boolean {
  return [...tensors.keys()].some((name) => /^features\.\d+\.conv\.\d\.\d\./.test(name));
}

/**
 * A block of torchvision's has two such modules, the first block of all has one, and then a bare
 * convolution and norm: conv.1.0 and conv.2 are conv.3 and conv.6 where all lies in one row.
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
