/** One table from names to networks. */
import { AuxHead } from './auxHead.js';
import type { Backbone } from './backbone.js';
import type { Builder } from './builder.js';
import { DeeplabHead } from './deeplabHead.js';
import type { Head } from './head.js';
import { MobilenetV2 } from './mobilenetV2.js';
import { PspHead } from './pspHead.js';
import { RESNETS, Resnet, type ResnetName } from './resnet.js';
import { backboneName, type StemName } from './resnetStem.js';
import {
  type ChannelScale,
  channelScale,
  type ModelName,
  type NetworkSpec,
  type Variant,
} from './spec.js';

interface BackboneEntry {
  /** Official channels of the last map and of the one before the last layer. */
  readonly officialChannels: number;
  readonly officialAuxChannels: number | null;
  /** null: no ResNet. */
  readonly stem: StemName | null;
  build(at: Builder, scale: ChannelScale): Backbone;
}

const BACKBONES: Readonly<Record<string, BackboneEntry>> = {
  ...resnets('deep'),
  ...resnets('plain'),
  mobilenetv2: {
    officialChannels: 320,
    officialAuxChannels: null,
    stem: null,
    build: (at, scale) => new MobilenetV2(at, scale),
  },
};

/** resnet18, 34, 50 and 101 with this stem, under the names that say so. */
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

export type HeadName = 'deeplab' | 'psp';

interface NetworkEntry {
  readonly head: HeadName;
  /** Official channels of the feature. */
  readonly featureChannels: Readonly<Record<Variant, number>>;
}

/** By model, then backbone. The official code has 18 and 101; 34 has the heads of 18, 50 those of 101. */
const NETWORKS: Readonly<Record<ModelName, Readonly<Record<string, NetworkEntry>>>> = {
  deeplabv3: {
    ...basicResnets({ head: 'deeplab', featureChannels: { v1: 128, v2: 512 } }),
    ...bottleneckResnets({ head: 'deeplab', featureChannels: { v1: 256, v2: 512 } }),
  },
  psp: {
    ...basicResnets({ head: 'psp', featureChannels: { v1: 128, v2: 128 } }),
    ...bottleneckResnets({ head: 'psp', featureChannels: { v1: 512, v2: 256 } }),
  },
  deeplab_mobile: {
    mobilenetv2: { head: 'deeplab', featureChannels: { v1: 128, v2: 128 } },
  },
  psp_mobile: {
    mobilenetv2: { head: 'psp', featureChannels: { v1: 128, v2: 128 } },
  },
};

function basicResnets(entry: NetworkEntry): Record<string, NetworkEntry> {
  return { resnet18: entry, resnet34: entry, resnet18_plain: entry, resnet34_plain: entry };
}

function bottleneckResnets(entry: NetworkEntry): Record<string, NetworkEntry> {
  return { resnet50: entry, resnet101: entry, resnet50_plain: entry, resnet101_plain: entry };
}

export interface ZooEntry {
  readonly model: ModelName;
  readonly backbone: string;
  /** null: no ResNet. */
  readonly stem: StemName | null;
  /** Official channels of the feature. */
  readonly featureChannels: Readonly<Record<Variant, number>>;
}

/** Every model with each of its backbones. */
export const ZOO: readonly ZooEntry[] = Object.entries(NETWORKS).flatMap(([model, backbones]) =>
  Object.entries(backbones).map(([backbone, { featureChannels }]) => ({
    model: model as ModelName,
    backbone,
    stem: BACKBONES[backbone]!.stem,
    featureChannels,
  })),
);

export const BACKBONE_NAMES: readonly string[] = Object.keys(BACKBONES);

export interface NetworkParts {
  readonly backbone: Backbone;
  readonly head: Head;
  readonly aux: AuxHead | null;
}

/** The model with this head on this backbone, and the official channels of its feature; or null. */
export function findModel(
  head: HeadName,
  backbone: string,
): {
  readonly model: ModelName;
  readonly featureChannels: Readonly<Record<Variant, number>>;
} | null {
  for (const [model, backbones] of Object.entries(NETWORKS)) {
    const entry = own(backbones, backbone);
    if (entry?.head === head) {
      return { model: model as ModelName, featureChannels: entry.featureChannels };
    }
  }
  return null;
}

/** Throws an error that names the field of a spec for which there is no network. */
export function checkSpec(spec: NetworkSpec): void {
  const backbones = own<Readonly<Record<string, NetworkEntry>>>(NETWORKS, spec.model);
  if (backbones === undefined) {
    throw new Error(`model: '${spec.model}' given, wanted one of ${names(NETWORKS)}`);
  }
  const entry = own(backbones, spec.backbone);
  if (entry === undefined) {
    throw new Error(
      `backbone: '${spec.backbone}' given, ${spec.model} wants one of ${names(backbones)}`,
    );
  }
  if (own(entry.featureChannels, spec.variant) === undefined) {
    throw new Error(`variant: '${spec.variant}' given, wanted v1 or v2`);
  }
  if (!Number.isSafeInteger(spec.numClasses) || spec.numClasses < 1) {
    throw new Error(`numClasses: ${spec.numClasses} given, wanted a whole number from 1`);
  }
  if (!(spec.widthMultiplier > 0 && spec.widthMultiplier <= 8)) {
    throw new Error(`widthMultiplier: ${spec.widthMultiplier} given, wanted above 0, at most 8`);
  }
}

/** Puts a network together, in state-dict order. */
export function buildNetwork(at: Builder, spec: NetworkSpec): NetworkParts {
  checkSpec(spec);
  const entry = NETWORKS[spec.model][spec.backbone]!;
  const { officialChannels, officialAuxChannels, build } = BACKBONES[spec.backbone]!;
  const scale = channelScale(spec.widthMultiplier);
  const classes = spec.numClasses;
  const backbone = build(at.at('pretrained'), scale);
  const inputs = backbone.channels;
  const channels = scale(entry.featureChannels[spec.variant]);
  const levelChannels = scale(officialChannels / 4);
  const head =
    entry.head === 'deeplab'
      ? new DeeplabHead(at.at('head'), inputs, channels, classes)
      : new PspHead(at.at('head'), { inputs, levelChannels, channels, classes });
  const aux =
    backbone.auxChannels === null || officialAuxChannels === null
      ? null
      : new AuxHead(
          at.at('auxlayer'),
          backbone.auxChannels,
          scale(officialAuxChannels / 4),
          classes,
        );
  return { backbone, head, aux };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function names(table: Readonly<Record<string, unknown>>): string {
  return Object.keys(table).join(', ');
}
