/** Which networks are compared with PyTorch, at which width, and how PyTorch is told of them. */
import type { NetworkSpec, Variant } from '../../src/models/spec.js';
import { isSegformer } from '../../src/models/segformer.js';
import { ZOO } from '../../src/models/zoo.js';

/** As support/torch/networks.py's build() has it. */
export interface TorchSpec {
  readonly name: string;
  readonly model: string;
  readonly backbone: string;
  readonly variant: Variant;
  readonly num_classes: number;
  readonly stem: string;
  readonly width: number;
}

/** Odd sizes. */
export const IMAGE_SHAPE = [2, 33, 41, 3];
/** Its map has 13 x 14 positions, so that a dilation of 12 meets pixels. */
export const TRAINED_IMAGE_SHAPE = [2, 97, 105, 3];

/** Whether torchvision or mmsegmentation make it; SegFormers are in segformer.test.ts. */
function isPublished({ model }: Pick<NetworkSpec, 'model'>): boolean {
  return /^(torchvision|mmseg)_/.test(model) && !isSegformer(model);
}

/** Every model of CIRKD's form on every backbone in both variants. */
export function allSpecs(numClasses: number): NetworkSpec[] {
  return ZOO.filter((entry) => !isPublished(entry) && !isSegformer(entry.model)).flatMap(
    ({ model, backbone }) =>
      (['v1', 'v2'] as const).map((variant) => {
        return { model, backbone, variant, numClasses, widthMultiplier: 1 };
      }),
  );
}

/** MobileNetV2 as it is; of the ResNets a quarter of the channels does. */
export function comparedSpecs(numClasses: number): NetworkSpec[] {
  return allSpecs(numClasses).map((spec) => {
    return { ...spec, widthMultiplier: spec.backbone === 'mobilenetv2' ? 1 : 0.25 };
  });
}

/** "deeplabv3-resnet18/v1": of the compared ones each is there once. */
export function keyOf({ model, backbone, variant }: NetworkSpec): string {
  return `${model}-${backbone}/${variant}`;
}

export function torchSpec(spec: NetworkSpec): TorchSpec {
  const entry = ZOO.find(({ backbone }) => backbone === spec.backbone)!;
  return {
    name: keyOf(spec),
    model: spec.model,
    backbone: spec.backbone.replace(/_plain$/, ''),
    variant: spec.variant,
    num_classes: spec.numClasses,
    stem: entry.stem ?? 'deep',
    width: spec.widthMultiplier,
  };
}

/** Compared in training mode, too: each kind of block, stem and head. */
const TRAINED: readonly string[] = [
  'deeplabv3-resnet34/v1',
  'psp-resnet34_plain/v2',
  'psp-resnet50/v1',
  'deeplabv3-resnet50_plain/v2',
  'deeplab_mobile-mobilenetv2/v2',
  'psp_mobile-mobilenetv2/v1',
];

export function isTrained(spec: NetworkSpec): boolean {
  return TRAINED.includes(keyOf(spec));
}

export function imageShape(spec: NetworkSpec): readonly number[] {
  return isTrained(spec) ? TRAINED_IMAGE_SHAPE : IMAGE_SHAPE;
}

/** Made and saved by PyTorch; `nested`: a MobileNetV2 with the names of torchvision's files. */
export const SAVED: readonly { readonly spec: NetworkSpec; readonly nested: boolean }[] = [
  saved('deeplabv3', 'resnet18', 'v2', 0.5),
  saved('psp', 'resnet50_plain', 'v1', 0.25),
  saved('psp_mobile', 'mobilenetv2', 'v1', 1),
  { ...saved('deeplab_mobile', 'mobilenetv2', 'v1', 0.75), nested: true },
];

function saved(
  model: NetworkSpec['model'],
  backbone: string,
  variant: Variant,
  widthMultiplier: number,
): { spec: NetworkSpec; nested: boolean } {
  return { spec: { model, backbone, variant, numClasses: 5, widthMultiplier }, nested: false };
}

/** As support/torch/published.py's build() has it. */
export interface PackageSpec {
  readonly name: string;
  readonly package: true;
  readonly model: string;
  readonly backbone: string;
  readonly num_classes: number;
  readonly aux: boolean;
  readonly align_corners: boolean;
}

/**
 * Every network of torchvision and mmsegmentation in the zoo, one of each without an auxiliary head, and
 * one with the corners aligned.
 */
export function publishedSpecs(numClasses: number): NetworkSpec[] {
  const rest = { variant: 'v1', numClasses, widthMultiplier: 1 } as const;
  const all = ZOO.filter(isPublished).map(({ model, backbone }) => ({ model, backbone, ...rest }));
  return [
    ...all,
    ...all.filter(isBare).map((spec) => ({ ...spec, auxHead: false })),
    ...all.filter(isAligned).map((spec) => ({ ...spec, alignCorners: true })),
  ];
}

function isBare({ model, backbone }: NetworkSpec): boolean {
  return ['torchvision_fcn-resnet50_plain', 'mmseg_psp-resnet18_v1c'].includes(
    `${model}-${backbone}`,
  );
}

function isAligned({ model, backbone }: NetworkSpec): boolean {
  return model === 'mmseg_psp' && backbone === 'resnet18_v1c';
}

/** "mmseg_psp-resnet18_v1c", with what is different behind it: each published one is there once. */
export function packageKey({ model, backbone, auxHead, alignCorners }: NetworkSpec): string {
  const aux = auxHead === false ? ' no-aux' : '';
  return `${model}-${backbone}${aux}${alignCorners === true ? ' align-corners' : ''}`;
}

export function packageSpec(spec: NetworkSpec): PackageSpec {
  const { model, backbone, numClasses, auxHead = true, alignCorners = false } = spec;
  const name = packageKey(spec);
  const choices = { num_classes: numClasses, aux: auxHead, align_corners: alignCorners };
  return { name, package: true, model, backbone, ...choices };
}

/** Of published networks: each image is odd, and the last is for training mode. */
export const PACKAGE_IMAGE_SHAPES = [
  [1, 65, 113, 3],
  [2, 97, 105, 3],
];

/** Each head and each kind of block in training mode, too. */
export const TRAINED_PACKAGES: readonly string[] = [
  'torchvision_deeplabv3-resnet50_plain',
  'torchvision_fcn-resnet50_plain',
  'mmseg_deeplabv3-resnet18_v1c',
  'mmseg_psp-resnet18_v1c',
];

/** Exported here for the package to load: each head. */
export const EXPORTED_PACKAGES: readonly string[] = [
  'torchvision_deeplabv3-resnet50_plain',
  'torchvision_fcn-resnet50_plain no-aux',
  'mmseg_deeplabv3-resnet18_v1c',
  'mmseg_psp-resnet50_v1c',
];
