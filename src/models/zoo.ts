/** The table of networks, by name. SegFormers are described in segformer.ts. */
import { BACKBONES } from './backbones/table.js';
import type { Builder, Initialisation } from './builder.js';
import { auxHead } from './heads/auxHead.js';
import { deeplabHead } from './heads/deeplabHead.js';
import type { Head, MakeHead } from './heads/head.js';
import { mmsegDeeplabHead } from './heads/mmsegDeeplabHead.js';
import { mmsegFcnHead } from './heads/mmsegFcnHead.js';
import { mmsegPspHead } from './heads/mmsegPspHead.js';
import { type PspHeadOptions, pspHead } from './heads/pspHead.js';
import { torchvisionDeeplabHead } from './heads/torchvisionDeeplabHead.js';
import { torchvisionFcnHead } from './heads/torchvisionFcnHead.js';
import {
  OFFICIAL_NORMALISATION,
  type PixelNormalisation,
  TORCHVISION_NORMALISATION,
} from './normalise.js';
import type { StemName } from './backbones/resnetStem.js';
import { type NetworkParts, singleMapNetwork } from './networkParts.js';
import {
  buildSegformer,
  isSegformer,
  SEGFORMER_STRIDE,
  SEGFORMERS,
  type SegformerName,
  segformerChannels,
} from './segformer.js';
import { OUTPUT_STRIDE } from '../contract/teacherInfo.js';
import { channelScale, type ModelName, type NetworkSpec, type Variant } from './spec.js';

/** What all networks of one code base have in common. */
export interface Origin {
  /** Prefixes of the names of their parts. */
  readonly names: { readonly backbone: string; readonly head: string; readonly aux: string };
  readonly headInitialisation: Initialisation;
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
  headInitialisation: 'module',
  makeAux: auxHead,
  mayLackAux: false,
  alignCorners: true,
  normalisation: OFFICIAL_NORMALISATION,
};

const TORCHVISION: Origin = {
  names: { backbone: 'backbone', head: 'classifier', aux: 'aux_classifier' },
  headInitialisation: 'module',
  makeAux: torchvisionFcnHead,
  mayLackAux: true,
  alignCorners: false,
  normalisation: TORCHVISION_NORMALISATION,
};

/** Its data preprocessor uses torchvision's mean and standard deviation. */
const MMSEGMENTATION: Origin = {
  names: { backbone: 'backbone', head: 'decode_head', aux: 'auxiliary_head' },
  headInitialisation: 'mmsegmentation_head',
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
  /** null: a SegFormer. */
  readonly head: HeadName | null;
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
  segformer: segformer('segformer'),
  hf_segformer: segformer('hf_segformer'),
  mmseg_segformer: segformer('mmseg_segformer'),
};

function segformer(model: SegformerName): ModelEntry {
  const channels = Object.entries(segformerChannels(model));
  const backbones = Object.fromEntries(channels.map(([name, count]) => [name, both(count)]));
  return { head: null, backbones };
}

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
    stem: BACKBONES[backbone]?.stem ?? null,
    featureChannels,
  })),
);

/** Names of all backbones that some model uses. */
export const BACKBONE_NAMES: readonly string[] = [...new Set(ZOO.map(({ backbone }) => backbone))];

/** What a program needs to know of a model's origin without building it. */
export type ModelOrigin = Omit<Origin, 'makeAux' | 'names' | 'headInitialisation'> & {
  /** `aux` null: such networks have no auxiliary head. */
  readonly names: Omit<Origin['names'], 'aux'> & { readonly aux: string | null };
};

/** The origin of a model, the same for all its backbones. */
export function originOf(model: ModelName): ModelOrigin {
  if (isSegformer(model)) {
    const { names, alignCorners, normalisation } = SEGFORMERS[model];
    return { names: { ...names, aux: null }, mayLackAux: false, alignCorners, normalisation };
  }
  return HEADS[NETWORKS[model].head!].origin;
}

/** Whether the networks of a model on a backbone have an auxiliary head, unless the spec leaves it out. */
export function hasAuxHead({ model, backbone }: Pick<NetworkSpec, 'model' | 'backbone'>): boolean {
  return originOf(model).names.aux !== null && BACKBONES[backbone]!.officialAuxChannels !== null;
}

/** See SegmentationNetwork.outputStride. */
export function outputStrideOf(model: ModelName): number {
  return isSegformer(model) ? SEGFORMER_STRIDE : OUTPUT_STRIDE;
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
  if (isSegformer(spec.model) && spec.widthMultiplier !== 1) {
    throw new Error(
      `widthMultiplier: ${spec.widthMultiplier} given, ${spec.model} has width 1 only; its sizes are its backbones, mit_b0 to mit_b5`,
    );
  }
  if (spec.auxHead === false && !originOf(spec.model).mayLackAux) {
    throw new Error(`auxHead: false given, which ${spec.model} can't be without`);
  }
}

/** Builds a network's parts, in state-dict order. */
export function buildNetwork(at: Builder, spec: NetworkSpec): NetworkParts {
  checkSpec(spec);
  const { model } = spec;
  if (isSegformer(model)) return buildSegformer(at, { ...spec, model });
  const { head: headName, backbones } = NETWORKS[model];
  const { origin, make } = HEADS[headName!];
  const { officialChannels, officialAuxChannels, build } = BACKBONES[spec.backbone]!;
  const scale = channelScale(spec.widthMultiplier);
  const shared = {
    classes: spec.numClasses,
    alignCorners: spec.alignCorners ?? origin.alignCorners,
  };
  const backbone = build(at.at(origin.names.backbone).initialisedAs('backbone'), scale);
  const head = make(at.at(origin.names.head).initialisedAs(origin.headInitialisation), {
    inputs: backbone.channels,
    levelChannels: scale(officialChannels / 4),
    channels: scale(backbones[spec.backbone]![spec.variant]),
    ...shared,
  });
  const hasAux = spec.auxHead !== false && backbone.auxChannels !== null;
  const aux = hasAux
    ? origin.makeAux(at.at(origin.names.aux).initialisedAs(origin.headInitialisation), {
        inputs: backbone.auxChannels,
        channels: scale(officialAuxChannels! / 4),
        ...shared,
      })
    : null;
  return singleMapNetwork(backbone, head, aux, shared.alignCorners);
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function names(table: Readonly<Record<string, unknown>>): string {
  return Object.keys(table).join(', ');
}
