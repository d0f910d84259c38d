/** Which network a state dict with official names belongs to, told from its names and shapes. */
import { CheckpointError } from '../wire/checkpointError.js';
import { printable } from '../wire/printable.js';
import type { NamedTensors } from '../wire/safetensors.js';
import { channelScale, type NetworkSpec, type Variant } from './spec.js';
import { backboneName, stemOfWeights } from './resnetStem.js';
import { BACKBONE_NAMES, findModel, type HeadName } from './zoo.js';

/** What is known already; only the rest is told from the weights. */
export type KnownSpec = { readonly [field in keyof NetworkSpec]?: NetworkSpec[field] | undefined };

interface HeadNames {
  readonly head: HeadName;
  /** Names that begin so are of this head. */
  readonly prefix: string;
  /** Their first dimension is the number of classes. */
  readonly classifier: readonly string[];
}

const HEADS: readonly HeadNames[] = [
  {
    head: 'deeplab',
    prefix: 'head.aspp.',
    classifier: ['head.block.4.weight', 'head.block.4.bias'],
  },
  {
    head: 'psp',
    prefix: 'head.psp.',
    classifier: ['head.classifier.weight', 'head.classifier.bias'],
  },
];

/** Their first dimension is the channels of the feature, by which v1 and v2 differ. */
const FEATURE_WEIGHTS = ['head.block.0.weight', 'head.block.1.weight'];

/** Blocks of each layer, with bottlenecks or without, to ResNets with the deep stem. */
const RESNETS: Readonly<Record<string, string>> = {
  '2,2,2,2 basic': 'resnet18',
  '3,4,6,3 basic': 'resnet34',
  '3,4,6,3 bottleneck': 'resnet50',
  '3,4,23,3 bottleneck': 'resnet101',
};

/** Weights whose first dimension is a channel count of the backbone or of what is made of it, with the official count. */
const CHANNELS: Readonly<Record<string, readonly (readonly [name: string, official: number])[]>> = {
  resnet: [
    ['pretrained.conv1.weight', 64],
    ['pretrained.conv3.weight', 128],
    ['pretrained.layer2.0.conv1.weight', 128],
    ['pretrained.layer3.0.conv1.weight', 256],
    ['pretrained.layer4.0.conv1.weight', 512],
    // Of bottlenecks only; counts of their own, as each is rounded by itself.
    ['pretrained.layer1.0.conv3.weight', 256],
    ['pretrained.layer2.0.conv3.weight', 512],
    ['pretrained.layer3.0.conv3.weight', 1024],
    ['pretrained.layer4.0.conv3.weight', 2048],
  ],
  mobilenetv2: [
    ['pretrained.net.features.0.0.weight', 32],
    ['pretrained.net.features.1.conv.3.weight', 16],
    ['pretrained.net.features.3.conv.6.weight', 24],
    ['pretrained.net.features.7.conv.6.weight', 64],
    ['pretrained.net.features.11.conv.6.weight', 96],
    ['pretrained.net.features.14.conv.6.weight', 160],
    ['pretrained.net.features.17.conv.6.weight', 320],
    // A quarter of the last one, rounded once more.
    ['head.psp.conv1.0.weight', 80],
  ],
};

/** A larger one, and more classes, must be said: a file of a few bytes can claim any shape. */
const WIDEST = 2;
const MOST_CLASSES = 65_535;

/** The official width first, then round factors; channels are rounded, so several may fit. */
const WIDTHS = [1, ...[4, 8, 16, 10, 20, 100].flatMap(fractions)];

/**
 * Throws CheckpointError that says what can't be told and why. Only a few shapes are looked at: that
 * all names and shapes are the network's is checked when it takes the weights. Where v1 and v2 are the
 * same network, v1 is said.
 */
export function detectNetwork(tensors: NamedTensors, known: KnownSpec): NetworkSpec {
  const backbone = known.backbone ?? tellBackbone(tensors);
  const names = tellHead(tensors);
  const found = findModel(names.head, backbone);
  if (found === null) {
    throw new CheckpointError(`model: no network has a ${names.head} head on ${backbone}`);
  }
  const model = known.model ?? found.model;
  const numClasses = known.numClasses ?? tellClasses(tensors, names.classifier);
  const { widthMultiplier, variant } = tellWidth(tensors, backbone, found.featureChannels, known);
  return { model, backbone, variant, numClasses, widthMultiplier };
}

function tellBackbone(tensors: NamedTensors): string {
  const names = [...tensors.keys()];
  if (names.some((name) => name.startsWith('pretrained.net.features.'))) return 'mobilenetv2';
  const blocks = [0, 0, 0, 0];
  for (const name of names) {
    const [, layer, block] = /^pretrained\.layer([1-4])\.(\d{1,3})\./.exec(name) ?? [];
    if (layer === undefined) continue;
    blocks[Number(layer) - 1] = Math.max(blocks[Number(layer) - 1]!, Number(block) + 1);
  }
  const kind = tensors.has('pretrained.layer1.0.conv3.weight') ? 'bottleneck' : 'basic';
  const form = `${blocks} ${kind}`;
  if (Object.hasOwn(RESNETS, form))
    return backboneName(RESNETS[form]!, stemOfWeights(tensors.get('pretrained.conv1.weight')));
  const seen = blocks.includes(0) ? firstNames(names) : `a ResNet of ${form} blocks`;
  throw new CheckpointError(
    `backbone: can't be told, the weights are ${seen}; wanted one of ${BACKBONE_NAMES.join(', ')} with official names`,
  );
}

function tellHead(tensors: NamedTensors): HeadNames {
  const names = [...tensors.keys()];
  const found = HEADS.filter(({ prefix }) => names.some((name) => name.startsWith(prefix)));
  if (found.length === 1) return found[0]!;
  const wanted = HEADS.map(({ prefix }) => `${prefix}*`).join(' or ');
  throw new CheckpointError(
    `model: can't be told, ${found.length} kinds of heads are there; wanted ${wanted} among the names`,
  );
}

function tellClasses(tensors: NamedTensors, classifier: readonly string[]): number {
  const classes = firstSize(tensors, classifier, 'classes');
  if (classes >= 1 && classes <= MOST_CLASSES) return classes;
  throw new CheckpointError(
    `classes: can't be told, ${classifier[0]} has ${classes}, wanted 1 to ${MOST_CLASSES}`,
  );
}

/** The first width that fits the backbone's channels and, with a variant, the feature's. */
function tellWidth(
  tensors: NamedTensors,
  backbone: string,
  featureChannels: Readonly<Record<Variant, number>>,
  known: KnownSpec,
): { widthMultiplier: number; variant: Variant } {
  const feature = firstSize(tensors, FEATURE_WEIGHTS, 'variant');
  const channels = backboneChannels(tensors, backbone);
  const fits = (width: number) => {
    const scale = channelScale(width);
    return channels.every(([official, actual]) => scale(official) === actual);
  };
  const widths =
    known.widthMultiplier === undefined ? WIDTHS.filter(fits) : [known.widthMultiplier];
  if (widths.length === 0 || channels.length === 0) {
    const counts = channels.map(([official, actual]) => `${actual} of ${official}`).join(', ');
    throw new CheckpointError(`width: can't be told, channels are ${counts || 'missing'}`);
  }
  const variants = known.variant === undefined ? (['v1', 'v2'] as const) : [known.variant];
  for (const widthMultiplier of widths) {
    const scale = channelScale(widthMultiplier);
    const variant = variants.find((name) => scale(featureChannels[name]) === feature);
    if (variant !== undefined) return { widthMultiplier, variant };
  }
  if (known.variant !== undefined || known.widthMultiplier !== undefined) {
    return { widthMultiplier: widths[0]!, variant: known.variant ?? 'v1' };
  }
  const scale = channelScale(widths[0]!);
  throw new CheckpointError(
    `variant: can't be told, ${FEATURE_WEIGHTS[0]} has ${feature} channels; ` +
      `v1 has ${scale(featureChannels.v1)}, v2 ${scale(featureChannels.v2)} at width ${widths[0]}`,
  );
}

/** Official and actual counts, of the weights that are there. */
function backboneChannels(tensors: NamedTensors, backbone: string): [number, number][] {
  const entries = CHANNELS[backbone === 'mobilenetv2' ? backbone : 'resnet']!;
  return entries.flatMap(([name, official]) => {
    const actual = tensors.get(name)?.shape[0];
    return actual === undefined ? [] : [[official, actual] as [number, number]];
  });
}

/** Of the first of the weights that is there. */
function firstSize(tensors: NamedTensors, names: readonly string[], field: string): number {
  for (const name of names) {
    const size = tensors.get(name)?.shape[0];
    if (size !== undefined) return size;
  }
  throw new CheckpointError(`${field}: can't be told, ${names.join(' and ')} are missing`);
}

function firstNames(names: readonly string[]): string {
  return `${names.slice(0, 3).map(printable).join(', ')}${names.length > 3 ? ', …' : ''}`;
}

function fractions(parts: number): number[] {
  return Array.from({ length: WIDEST * parts }, (_, index) => (index + 1) / parts);
}
