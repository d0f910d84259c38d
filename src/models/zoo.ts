/** The table of networks, by name. */
import type { Backbone } from './backbones/backbone.js';
import type { Builder } from './builder.js';
import { auxHead } from './heads/auxHead.js';
import { deeplabHead } from './heads/deeplabHead.js';
import type { Head, MakeHead } from './heads/head.js';
import { mmsegDeeplabHead } from './heads/mmsegDeeplabHead.js';
import { mmsegFcnHead } from './heads/mmsegFcnHead.js';
import { mmsegPspHead } from './heads/mmsegPspHead.js';
import { type PspHeadOptions, pspHead } from './heads/pspHead.js';
import { torchvisionDeeplabHead } from './heads/torchvisionDeeplabHead.js';
import { torchvisionFcnHead } from './heads/torchvisionFcnHead.js';
import { MobilenetV2 } from './backbones/mobilenetV2.js';
import {
  OFFICIAL_NORMALISATION,
  type PixelNormalisation,
  TORCHVISION_NORMALISATION,
} from './normalise.js';
import { RESNETS, Resnet, type ResnetName } from './backbones/resnet.js';
import { backboneName, type StemName } from './backbones/resnetStem.js';
import {
  type ChannelScale,
  channelScale,
  type ModelName,
  type NetworkSpec,
  type Variant,
} from './spec.js';

interface BackboneEntry {
  /** Official channels of the last map and of the map before the last layer. */
  readonly officialChannels: number;
  readonly officialAuxChannels: number | null;
  /** null: no ResNet. */
  readonly stem: StemName | null;
  build(at: Builder, scale: ChannelScale): Backbone;
}

const BACKBONES: Readonly<Record<string, BackboneEntry>> = {
  ...resnets('deep'),
  ...resnets('plain'),
  ...resnets('v1c'),
  mobilenetv2: {
    officialChannels: 320,
    officialAuxChannels: null,
    stem: null,
    build: (at, scale) => new MobilenetV2(at, scale),
  },
};

/** resnet18, 34, 50 and 101 with this stem, under names that include it. */
function resnets(stem: StemName): Record<string, BackboneEntry> {
  const entries = Object.entries(RESNETS).map(([name, { expansion }]) => [
    backboneName(name, stem),
    {
      officialChannels: 512 * expansion,
      officialAuxChannels: 256 * expansion,
      stem,
      build: (at: Builder, scale: ChannelScale) => new Resnet(at, name as ResnetName, stem, scale),
    },
  ]);
  return Object.fromEntries(entries);
}

/** What all networks of one code base have in common. */
export interface Origin {
  /** Prefixes of the names of their parts. */
  readonly names: { readonly backbone: string; readonly head: string; readonly aux: string };
  readonly makeAux: MakeHead;
  /** Whether these networks exist without the auxiliary head. */
  readonly mayLackAux: boolean;
  /** See SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /** Pixel normalisation with which their published weights were trained. */
  readonly normalisation: PixelNormalisation;
}

/** CIRKD's code. */
const OFFICIAL: Origin = {
  names: { backbone: 'pretrained', head: 'head', aux: 'auxlayer' },
  makeAux: auxHead,
  mayLackAux: false,
  alignCorners: true,
  normalisation: OFFICIAL_NORMALISATION,
};

const TORCHVISION: Origin = {
  names: { backbone: 'backbone', head: 'classifier', aux: 'aux_classifier' },
  makeAux: torchvisionFcnHead,
  mayLackAux: true,
  alignCorners: false,
  normalisation: TORCHVISION_NORMALISATION,
};

/** Its data preprocessor uses torchvision's mean and standard deviation. */
const MMSEGMENTATION: Origin = {
  names: { backbone: 'backbone', head: 'decode_head', aux: 'auxiliary_head' },
  makeAux: mmsegFcnHead,
  mayLackAux: true,
  alignCorners: false,
  normalisation: TORCHVISION_NORMALISATION,
};

export type HeadName =
  | 'deeplab'
  | 'psp'
  | 'torchvision_deeplab'
  | 'torchvision_fcn'
  | 'mmseg_deeplab'
  | 'mmseg_psp';

type MakeMainHead = (at: Builder, options: PspHeadOptions) => Head;

const HEADS: Readonly<Record<HeadName, { readonly origin: Origin; readonly make: MakeMainHead }>> =
  {
    deeplab: { origin: OFFICIAL, make: deeplabHead },
    psp: { origin: OFFICIAL, make: pspHead },
    torchvision_deeplab: { origin: TORCHVISION, make: torchvisionDeeplabHead },
    torchvision_fcn: { origin: TORCHVISION, make: torchvisionFcnHead },
    mmseg_deeplab: { origin: MMSEGMENTATION, make: mmsegDeeplabHead },
    mmseg_psp: { origin: MMSEGMENTATION, make: mmsegPspHead },
  };

/** Official channels of the feature. */
type FeatureChannels = Readonly<Record<Variant, number>>;

interface ModelEntry {
  readonly head: HeadName;
  readonly backbones: Readonly<Record<string, FeatureChannels>>;
}

/** The official code has ResNet-18 and 101; here 34 gets the heads of 18, and 50 those of 101. */
const NETWORKS: Readonly<Record<ModelName, ModelEntry>> = {
  deeplabv3: {
    head: 'deeplab',
    backbones: officialResnets({ v1: 128, v2: 512 }, { v1: 256, v2: 512 }),
  },
  psp: { head: 'psp', backbones: officialResnets(both(128), { v1: 512, v2: 256 }) },
  deeplab_mobile: { head: 'deeplab', backbones: { mobilenetv2: both(128) } },
  psp_mobile: { head: 'psp', backbones: { mobilenetv2: both(128) } },
  torchvision_deeplabv3: {
    head: 'torchvision_deeplab',
    backbones: { resnet50_plain: both(256), resnet101_plain: both(256) },
  },
  torchvision_fcn: {
    head: 'torchvision_fcn',
    backbones: { resnet50_plain: both(512), resnet101_plain: both(512) },
  },
  mmseg_deeplabv3: { head: 'mmseg_deeplab', backbones: mmsegResnets() },
  mmseg_psp: { head: 'mmseg_psp', backbones: mmsegResnets() },
};

function both(channels: number): FeatureChannels {
  return { v1: channels, v2: channels };
}

function officialResnets(
  basic: FeatureChannels,
  bottleneck: FeatureChannels,
): Record<string, FeatureChannels> {
  return {
    ...{ resnet18: basic, resnet34: basic, resnet18_plain: basic, resnet34_plain: basic },
    ...{ resnet50: bottleneck, resnet101: bottleneck },
    ...{ resnet50_plain: bottleneck, resnet101_plain: bottleneck },
  };
}

function mmsegResnets(): Record<string, FeatureChannels> {
  return { resnet18_v1c: both(128), resnet50_v1c: both(512), resnet101_v1c: both(512) };
}

export interface ZooEntry {
  readonly model: ModelName;
  readonly backbone: string;
  /** null: no ResNet. */
  readonly stem: StemName | null;
  /** Official channels of the feature. */
  readonly featureChannels: FeatureChannels;
}

/** Every pair of model and backbone. */
export const ZOO: readonly ZooEntry[] = Object.entries(NETWORKS).flatMap(([model, { backbones }]) =>
  Object.entries(backbones).map(([backbone, featureChannels]) => ({
    model: model as ModelName,
    backbone,
    stem: BACKBONES[backbone]!.stem,
    featureChannels,
  })),
);

/** Names of all backbones that some model uses. */
export const BACKBONE_NAMES: readonly string[] = [...new Set(ZOO.map(({ backbone }) => backbone))];

/** The origin of a model, the same for all its backbones. */
export function originOf(model: ModelName): Origin {
  return HEADS[NETWORKS[model].head].origin;
}

export interface NetworkParts {
  readonly backbone: Backbone;
  readonly head: Head;
  readonly aux: Head | null;
  readonly alignCorners: boolean;
}

/** The model with this head on this backbone, and its feature's official channels; null if none. */
export function findModel(
  head: HeadName,
  backbone: string,
): { readonly model: ModelName; readonly featureChannels: FeatureChannels } | null {
  const found = ZOO.find((e) => NETWORKS[e.model].head === head && e.backbone === backbone);
  return found ?? null;
}

/** Throws an Error naming the field if there is no network for the spec. */
export function checkSpec(spec: NetworkSpec): void {
  const entry = own<ModelEntry>(NETWORKS, spec.model);
  if (entry === undefined) {
    throw new Error(`model: '${spec.model}' given, wanted one of ${names(NETWORKS)}`);
  }
  const featureChannels = own(entry.backbones, spec.backbone);
  if (featureChannels === undefined) {
    throw new Error(
      `backbone: '${spec.backbone}' given, ${spec.model} wants one of ${names(entry.backbones)}`,
    );
  }
  if (own(featureChannels, spec.variant) === undefined) {
    throw new Error(`variant: '${spec.variant}' given, wanted v1 or v2`);
  }
  if (!Number.isSafeInteger(spec.numClasses) || spec.numClasses < 1) {
    throw new Error(`numClasses: ${spec.numClasses} given, wanted a whole number from 1`);
  }
  if (!(spec.widthMultiplier > 0 && spec.widthMultiplier <= 8)) {
    throw new Error(`widthMultiplier: ${spec.widthMultiplier} given, wanted above 0, at most 8`);
  }
  if (spec.auxHead === false && !originOf(spec.model).mayLackAux) {
    throw new Error(`auxHead: false given, which ${spec.model} can't be without`);
  }
}

/** Builds a network's parts, in state-dict order. */
export function buildNetwork(at: Builder, spec: NetworkSpec): NetworkParts {
  checkSpec(spec);
  const { head: headName, backbones } = NETWORKS[spec.model];
  const { origin, make } = HEADS[headName];
  const { officialChannels, officialAuxChannels, build } = BACKBONES[spec.backbone]!;
  const scale = channelScale(spec.widthMultiplier);
  const shared = {
    classes: spec.numClasses,
    alignCorners: spec.alignCorners ?? origin.alignCorners,
  };
  const backbone = build(at.at(origin.names.backbone), scale);
  const head = make(at.at(origin.names.head), {
    inputs: backbone.channels,
    levelChannels: scale(officialChannels / 4),
    channels: scale(backbones[spec.backbone]![spec.variant]),
    ...shared,
  });
  const hasAux = spec.auxHead !== false && backbone.auxChannels !== null;
  const aux = hasAux
    ? origin.makeAux(at.at(origin.names.aux), {
        inputs: backbone.auxChannels,
        channels: scale(officialAuxChannels! / 4),
        ...shared,
      })
    : null;
  return { backbone, head, aux, alignCorners: shared.alignCorners };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function names(table: Readonly<Record<string, unknown>>): string {
  return Object.keys(table).join(', ');
}
