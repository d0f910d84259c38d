/** The options by which a command describes a network. */
import { CAMVID_CLASSES } from '../../src/data/files/camvid.js';
import { CITYSCAPES_CLASSES } from '../../src/data/files/cityscapesClasses.js';
import { ADE20K_CLASSES } from '../../src/data/files/classes/ade20k.js';
import {
  COCO_STUFF_CLASSES,
  COCO_STUFF_CLASSES_182,
} from '../../src/data/files/classes/cocoStuff.js';
import { VOC_CLASSES } from '../../src/data/files/classes/voc.js';
import { STREET_CLASSES } from '../../src/data/streets/classes.js';
import { detectNetwork, type KnownSpec } from '../../src/models/files/detectNetwork.js';
import {
  type GivenSettings,
  type MmsegSettings,
  mmsegSettings,
  type TrainerMeta,
} from '../../src/models/foreign/mmsegMeta.js';
import type { ImportSource } from '../../src/models/files/importModel.js';
import type { ModelDescription } from '../../src/models/files/modelFile.js';
import type { PixelNormalisation } from '../../src/models/normalise.js';
import type { ModelName, NetworkSpec, Variant } from '../../src/models/spec.js';
import { BACKBONE_NAMES, checkSpec, originOf, ZOO } from '../../src/models/zoo.js';
import { UsageError } from './command.js';

/** For node:util's parseArgs. */
export const MODEL_OPTIONS = {
  model: { type: 'string' },
  backbone: { type: 'string' },
  variant: { type: 'string' },
  width: { type: 'string' },
  classes: { type: 'string' },
  'pixel-mean': { type: 'string' },
  'pixel-std': { type: 'string' },
  'channel-order': { type: 'string' },
  'align-corners': { type: 'string' },
} as const;

export const MODEL_USAGE = `  --model NAME           deeplabv3, psp, deeplab_mobile or psp_mobile; torchvision_deeplabv3 or _fcn;
                         mmseg_deeplabv3 or _psp; segformer, hf_segformer or mmseg_segformer
  --backbone NAME        resnet18, 34, 50 or 101 (deep stem), resnet18_plain, … (torchvision's stem),
                         resnet18_v1c, … (mmsegmentation's stem), mobilenetv2, or mit_b0 to mit_b5
  --variant v1|v2        v1: as in the CVPR 2022 paper, v2: the newest official code; identical for
                         networks of other origins
  --width FACTOR         factor on every channel count
  --classes A,B,C        names of the classes, in the order of the logits; or camvid, cityscapes,
                         voc, ade20k, cocostuff, cocostuff-182 or synthetic for those of that dataset
  --pixel-mean X,Y,Z     subtracted from the pixels (0..255), in the network's channel order
  --pixel-std X,Y,Z      divides the result
  --channel-order ORDER  rgb or bgr: the channel order of the network's input
  --align-corners true|false
                         how logits are resized to the image's size, as align_corners in PyTorch`;

export type DescriptionValues = {
  readonly [option in keyof typeof MODEL_OPTIONS]?: string | undefined;
};

/** Sets of class names that have a name of their own. */
const CLASS_SETS: Readonly<Record<string, readonly (readonly [name: string, ...unknown[]])[]>> = {
  camvid: CAMVID_CLASSES,
  cityscapes: CITYSCAPES_CLASSES,
  voc: VOC_CLASSES,
  ade20k: ADE20K_CLASSES,
  cocostuff: COCO_STUFF_CLASSES,
  'cocostuff-182': COCO_STUFF_CLASSES_182,
  synthetic: STREET_CLASSES,
};

/**
 * The network described by a file's metadata or inferred from its weights, overridden by the options.
 * Throws UsageError naming the option, CheckpointError if a missing setting can't be inferred.
 */
export function describeImport(
  { description, tensors, meta }: ImportSource,
  values: DescriptionValues,
): ModelDescription {
  const given = values.classes === undefined ? undefined : classNames(values.classes);
  const settings = givenSettings(values);
  const known = {
    model: (values.model ?? description?.spec.model) as ModelName | undefined,
    backbone: values.backbone ?? description?.spec.backbone,
    variant: (values.variant ?? description?.spec.variant) as Variant | undefined,
    numClasses: (given ?? description?.classNames)?.length,
    widthMultiplier: positive('width', values.width) ?? description?.spec.widthMultiplier,
    auxHead: description?.spec.auxHead,
  };
  checkKnown(known);
  const detected = description === null ? detectNetwork(tensors, known) : (known as NetworkSpec);
  const stored = description === null ? settingsFromMeta(detected, meta, settings) : {};
  const spec = withCorners(
    detected,
    settings.alignCorners ?? stored.alignCorners ?? description?.spec.alignCorners,
  );
  checkNetwork(spec);
  const { numClasses } = spec;
  const numbered = () => Array.from({ length: numClasses }, (_, index) => `class ${index}`);
  return {
    spec,
    normalisation: normalisationOf(
      description?.normalisation ?? stored.normalisation ?? originOf(spec.model).normalisation,
      values,
    ),
    classNames: given ?? description?.classNames ?? namesFromMeta(meta, numClasses) ?? numbered(),
  };
}

/** Settings from the config that some networks' trainers store with the weights. */
export function settingsFromMeta(
  { model }: NetworkSpec,
  { config }: TrainerMeta,
  given: GivenSettings = {},
): MmsegSettings {
  return model.startsWith('mmseg_') && config !== null ? mmsegSettings(config, model, given) : {};
}

/** The settings given by options, which the config beside the weights needn't decide. */
function givenSettings(values: DescriptionValues): GivenSettings {
  const alignCorners = corners(values['align-corners']);
  const pixelMean = three('pixel-mean', values['pixel-mean']);
  const pixelStd = deviation(values['pixel-std']);
  const channelOrder = order(values['channel-order']);
  return {
    ...(alignCorners === undefined ? {} : { alignCorners }),
    ...(pixelMean === undefined ? {} : { pixelMean }),
    ...(pixelStd === undefined ? {} : { pixelStd }),
    ...(channelOrder === undefined ? {} : { channelOrder }),
  };
}

/** The class names stored beside the weights; null unless there is one per class. */
export function namesFromMeta(
  { classNames }: TrainerMeta,
  classes: number,
): readonly string[] | null {
  return classNames?.length === classes ? classNames : null;
}

/** Sets alignCorners only if it differs from the default of the network's origin. */
function withCorners(spec: NetworkSpec, alignCorners: boolean | undefined): NetworkSpec {
  const isOwn = alignCorners !== undefined && alignCorners !== originOf(spec.model).alignCorners;
  return isOwn ? { ...spec, alignCorners } : spec;
}

function corners(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new UsageError(`--align-corners: ${text} given, wanted true or false`);
}

/** The known normalisation, overridden by the options. Throws UsageError naming the option. */
export function normalisationOf(
  before: PixelNormalisation,
  values: DescriptionValues,
): PixelNormalisation {
  return {
    pixelMean: three('pixel-mean', values['pixel-mean']) ?? before.pixelMean,
    pixelStd: deviation(values['pixel-std']) ?? before.pixelStd,
    channelOrder: order(values['channel-order']) ?? before.channelOrder,
  };
}

/** Checks names before any weights are read, so that an unknown one is reported first. */
function checkKnown({ model, backbone, variant }: KnownSpec): void {
  const fits = ZOO.filter((names) => (model ?? names.model) === names.model);
  const names = fits.find((entry) => (backbone ?? entry.backbone) === entry.backbone);
  if (names === undefined && model === undefined) {
    const wanted = BACKBONE_NAMES.join(', ');
    throw new UsageError(`--backbone: ${backbone} given, wanted one of ${wanted}`);
  }
  checkNetwork({
    model: names?.model ?? model!,
    backbone: names?.backbone ?? backbone ?? '',
    variant: variant ?? 'v1',
    numClasses: 1,
    widthMultiplier: 1,
  });
}

/** Throws UsageError naming the option if no such network exists. */
export function checkNetwork(spec: NetworkSpec): void {
  try {
    checkSpec(spec);
  } catch (error) {
    throw new UsageError(`--${(error as Error).message.replace('widthMultiplier', 'width')}`);
  }
}

/** Parses comma-separated names, or a dataset's name. Throws UsageError. */
export function classNames(text: string): readonly string[] {
  const set = Object.hasOwn(CLASS_SETS, text) ? CLASS_SETS[text] : undefined;
  if (set !== undefined) return set.map(([name]) => name);
  const names = text.split(',');
  if (names.some((name) => name.trim() === '')) {
    throw new UsageError(`--classes: ${names.join()} given, wanted names that aren't empty`);
  }
  return names;
}

function order(text: string | undefined): 'rgb' | 'bgr' | undefined {
  if (text === undefined || text === 'rgb' || text === 'bgr') return text;
  throw new UsageError(`--channel-order: ${text} given, wanted rgb or bgr`);
}

/** Throws UsageError naming the option. */
export function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && value > 0) return value;
  throw new UsageError(`--${option}: ${text} given, wanted a number above 0`);
}

function deviation(text: string | undefined): number[] | undefined {
  const pixelStd = three('pixel-std', text);
  if (pixelStd?.some((value) => value <= 0)) {
    throw new UsageError(`--pixel-std: ${pixelStd} given, wanted numbers above 0`);
  }
  return pixelStd;
}

function three(option: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',');
  const numbers = parts.map(Number);
  const good = parts.every((part, i) => part.trim() !== '' && Number.isFinite(numbers[i]));
  if (good && numbers.length === 3) return numbers;
  throw new UsageError(`--${option}: ${text} given, wanted three numbers separated by commas`);
}
