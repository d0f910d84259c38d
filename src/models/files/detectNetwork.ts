/** Detects which network a state dict with official names belongs to, from its names and shapes. */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensors } from '../../wire/safetensors.js';
import { listed } from '../foreign/namePrefix.js';
import {
  channelScale,
  type KnownSpec,
  type ModelName,
  type NetworkSpec,
  type Variant,
} from '../spec.js';
import { backboneName, stemOfWeights } from '../backbones/resnetStem.js';
import { detectSegformer } from './detectSegformer.js';
import { BACKBONE_NAMES, findModel, type HeadName, originOf } from '../zoo.js';

export type { KnownSpec };

interface HeadNames {
  readonly head: HeadName;
  /** Prefix of the head's names. */
  readonly prefix: string;
  /** Weights whose first dimension is the number of classes. */
  readonly classifier: readonly string[];
  /** Weights whose first dimension is the feature's channel count, which differs between v1 and v2. */
  readonly feature: readonly string[];
}

const HEADS: readonly HeadNames[] = [
  {
    head: 'deeplab',
    prefix: 'head.aspp.',
    classifier: weightAndBias('head.block.4'),
    feature: ['head.block.0.weight', 'head.block.1.weight'],
  },
  {
    head: 'psp',
    prefix: 'head.psp.',
    classifier: weightAndBias('head.classifier'),
    feature: ['head.block.0.weight', 'head.block.1.weight'],
  },
  {
    head: 'torchvision_deeplab',
    prefix: 'classifier.0.convs.',
    classifier: weightAndBias('classifier.4'),
    feature: ['classifier.1.weight', 'classifier.2.weight'],
  },
  {
    head: 'torchvision_fcn',
    prefix: 'classifier.0.weight',
    classifier: weightAndBias('classifier.4'),
    feature: ['classifier.0.weight', 'classifier.1.weight'],
  },
  {
    head: 'mmseg_deeplab',
    prefix: 'decode_head.aspp_modules.',
    classifier: weightAndBias('decode_head.conv_seg'),
    feature: weightsOfModule('decode_head.bottleneck'),
  },
  {
    head: 'mmseg_psp',
    prefix: 'decode_head.psp_modules.',
    classifier: weightAndBias('decode_head.conv_seg'),
    feature: weightsOfModule('decode_head.bottleneck'),
  },
];

function weightAndBias(layer: string): string[] {
  return [`${layer}.weight`, `${layer}.bias`];
}

function weightsOfModule(module: string): string[] {
  return [`${module}.conv.weight`, `${module}.bn.weight`];
}

/** ResNets by the number of blocks per layer and the kind of block. */
const RESNETS: Readonly<Record<string, string>> = {
  '2,2,2,2 basic': 'resnet18',
  '3,4,6,3 basic': 'resnet34',
  '3,4,6,3 bottleneck': 'resnet50',
  '3,4,23,3 bottleneck': 'resnet101',
};

/** The prefix of a backbone's names: in CIRKD's code; in torchvision and mmsegmentation. */
const BACKBONE_PREFIX = /^(pretrained|backbone)\./;

/** Weights whose first dimension is a channel count of the backbone, with the official count. */
const CHANNELS: Readonly<Record<string, readonly (readonly [name: string, official: number])[]>> = {
  resnet: [
    ['conv1.weight', 64],
    ['conv3.weight', 128],
    ['stem.0.weight', 32],
    ['stem.6.weight', 64],
    ['layer2.0.conv1.weight', 128],
    ['layer3.0.conv1.weight', 256],
    ['layer4.0.conv1.weight', 512],
    // Bottlenecks only. Listed separately because each count is rounded by itself.
    ['layer1.0.conv3.weight', 256],
    ['layer2.0.conv3.weight', 512],
    ['layer3.0.conv3.weight', 1024],
    ['layer4.0.conv3.weight', 2048],
  ],
  mobilenetv2: [
    ['net.features.0.0.weight', 32],
    ['net.features.1.conv.3.weight', 16],
    ['net.features.3.conv.6.weight', 24],
    ['net.features.7.conv.6.weight', 64],
    ['net.features.11.conv.6.weight', 96],
    ['net.features.14.conv.6.weight', 160],
    ['net.features.17.conv.6.weight', 320],
  ],
};

/** The same for heads: a quarter of the backbone's last count, rounded once more. */
const HEAD_CHANNELS: typeof CHANNELS = {
  resnet: [],
  mobilenetv2: [['head.psp.conv1.0.weight', 80]],
};

/** Larger widths and more classes must be given: a file of a few bytes can claim any shape. */
const WIDEST = 2;
const MOST_CLASSES = 65_535;

/** The official width first, then round factors. Channels are rounded, so several may fit. */
const WIDTHS = [1, ...[4, 8, 16, 10, 20, 100].flatMap(fractions)];

/**
 * Throws CheckpointError that says what can't be detected and why. Only a few shapes are examined: the
 * network checks all names and shapes when it loads the weights. Where v1 and v2 are the same network, the
 * result is v1.
 */
export function detectNetwork(tensors: NamedTensors, known: KnownSpec): NetworkSpec {
  const segformer = detectSegformer(tensors, known);
  if (segformer !== null) return segformer;
  const backboneWeights = underBackbone(tensors);
  const backbone = known.backbone ?? detectBackbone(tensors, backboneWeights);
  const names = detectHead(tensors);
  const found = findModel(names.head, backbone);
  if (found === null) {
    throw new CheckpointError(`model: no network has a ${names.head} head on ${backbone}`);
  }
  const model = known.model ?? found.model;
  const numClasses = known.numClasses ?? detectClasses(tensors, names.classifier);
  const { widthMultiplier, variant } = detectWidth(
    firstSize(tensors, names.feature, 'variant'),
    officialAndActual(backbone, tensors, backboneWeights),
    { names: names.feature, official: found.featureChannels },
    known,
  );
  const spec = { model, backbone, variant, numClasses, widthMultiplier };
  return hasAux(tensors, model, known) ? spec : { ...spec, auxHead: false };
}

/** The backbone's tensors, named without the network's prefix. */
function underBackbone(tensors: NamedTensors): NamedTensors {
  return new Map(
    [...tensors].flatMap(([name, tensor]) =>
      BACKBONE_PREFIX.test(name) ? [[name.replace(BACKBONE_PREFIX, ''), tensor] as const] : [],
    ),
  );
}

/** If the network may lack the auxiliary head, any of the head's names in the file shows that it is there. */
function hasAux(tensors: NamedTensors, model: ModelName, known: KnownSpec): boolean {
  if (known.auxHead !== undefined) return known.auxHead;
  const { mayLackAux, names } = originOf(model);
  if (names.aux === null) return true;
  return !mayLackAux || [...tensors.keys()].some((name) => name.startsWith(`${names.aux}.`));
}

function detectBackbone(tensors: NamedTensors, own: NamedTensors): string {
  const names = [...own.keys()];
  if (names.some((name) => name.startsWith('net.features.'))) return 'mobilenetv2';
  const blocks = [0, 0, 0, 0];
  for (const name of names) {
    const [, layer, block] = /^layer([1-4])\.(\d{1,3})\./.exec(name) ?? [];
    if (layer === undefined) continue;
    blocks[Number(layer) - 1] = Math.max(blocks[Number(layer) - 1]!, Number(block) + 1);
  }
  const kind = own.has('layer1.0.conv3.weight') ? 'bottleneck' : 'basic';
  const form = `${blocks} ${kind}`;
  if (Object.hasOwn(RESNETS, form)) {
    const stem = own.has('stem.0.weight') ? 'v1c' : stemOfWeights(own.get('conv1.weight'));
    return backboneName(RESNETS[form]!, stem);
  }
  const seen = blocks.includes(0) ? listed([...tensors.keys()]) : `a ResNet of ${form} blocks`;
  throw new CheckpointError(
    `backbone: can't be detected, the weights are ${seen}; wanted one of ${BACKBONE_NAMES.join(', ')} with the names of CIRKD's code, torchvision or mmsegmentation`,
  );
}

function detectHead(tensors: NamedTensors): HeadNames {
  const names = [...tensors.keys()];
  const found = HEADS.filter(({ prefix }) => names.some((name) => name.startsWith(prefix)));
  if (found.length === 1) return found[0]!;
  const wanted = HEADS.map(({ prefix }) => `${prefix}*`).join(' or ');
  throw new CheckpointError(
    `model: can't be detected, ${found.length} kinds of heads found; wanted ${wanted} among the names`,
  );
}

function detectClasses(tensors: NamedTensors, classifier: readonly string[]): number {
  const classes = firstSize(tensors, classifier, 'classes');
  if (classes >= 1 && classes <= MOST_CLASSES) return classes;
  throw new CheckpointError(
    `classes: can't be detected, ${classifier[0]} has ${classes}, wanted 1 to ${MOST_CLASSES}`,
  );
}

interface FeatureCounts {
  /** The weights that show the feature's channel count. */
  readonly names: readonly string[];
  readonly official: Readonly<Record<Variant, number>>;
}

/** The first width that fits the backbone's channels and, with some variant, the feature's. */
function detectWidth(
  feature: number,
  channels: readonly (readonly [official: number, actual: number])[],
  { names, official: featureChannels }: FeatureCounts,
  known: KnownSpec,
): { widthMultiplier: number; variant: Variant } {
  const fits = (width: number) => {
    const scale = channelScale(width);
    return channels.every(([official, actual]) => scale(official) === actual);
  };
  const widths =
    known.widthMultiplier === undefined ? WIDTHS.filter(fits) : [known.widthMultiplier];
  if (widths.length === 0 || channels.length === 0) {
    const counts = channels.map(([official, actual]) => `${actual} of ${official}`).join(', ');
    throw new CheckpointError(`width: can't be detected, channels are ${counts || 'missing'}`);
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
  const [v1, v2] = [featureChannels.v1, featureChannels.v2].map(channelScale(widths[0]!));
  throw new CheckpointError(
    `variant: can't be detected, ${names[0]} has ${feature} channels; ` +
      (v1 === v2 ? `wanted ${v1}` : `v1 has ${v1}, v2 ${v2}`) +
      ` at width ${widths[0]}`,
  );
}

/** Official and actual counts for each listed weight in the file. */
function officialAndActual(
  backbone: string,
  tensors: NamedTensors,
  ofBackbone: NamedTensors,
): [number, number][] {
  const kind = backbone === 'mobilenetv2' ? backbone : 'resnet';
  const counts = (own: NamedTensors, wanted: (typeof CHANNELS)[string]) =>
    wanted.flatMap(([name, official]) => {
      const actual = own.get(name)?.shape[0];
      return actual === undefined ? [] : [[official, actual] as [number, number]];
    });
  return [...counts(ofBackbone, CHANNELS[kind]!), ...counts(tensors, HEAD_CHANNELS[kind]!)];
}

/** First dimension of the first listed weight that the file has. */
function firstSize(tensors: NamedTensors, names: readonly string[], field: string): number {
  for (const name of names) {
    const size = tensors.get(name)?.shape[0];
    if (size !== undefined) return size;
  }
  throw new CheckpointError(`${field}: can't be detected, ${names.join(' and ')} are missing`);
}

function fractions(parts: number): number[] {
  return Array.from({ length: WIDEST * parts }, (_, index) => (index + 1) / parts);
}
