/** The options by which a command describes a network. */
import type { ModelDescription } from '../../src/models/modelFile.js';
import type { ModelName, NetworkSpec, Variant } from '../../src/models/spec.js';
import { checkSpec } from '../../src/models/zoo.js';
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
} as const;

export const MODEL_USAGE = `  --model NAME           deeplabv3, psp, deeplab_mobile or psp_mobile
  --backbone NAME        resnet18, resnet101 or mobilenetv2
  --variant v1|v2        v1: as in the CVPR 2022 paper, v2: the newest official code (default v1)
  --width FACTOR         factor on every channel count (default 1)
  --classes A,B,C        names of the classes, in the order of the logits
  --pixel-mean X,Y,Z     subtracted from a pixel (0..255), in the network's channel order
  --pixel-std X,Y,Z      divides what is left
  --channel-order ORDER  rgb or bgr: the order in which the network sees the channels`;

export type DescriptionValues = {
  readonly [option in keyof typeof MODEL_OPTIONS]?: string | undefined;
};

/** Needed where there is no description to override. */
const NEEDED = [
  ...(['model', 'backbone', 'classes'] as const),
  ...(['pixel-mean', 'pixel-std', 'channel-order'] as const),
];

/** A description with what the options say laid over it. Throws UsageError naming the options. */
export function overlay(
  description: ModelDescription | null,
  values: DescriptionValues,
): ModelDescription {
  const missing = NEEDED.filter((option) => values[option] === undefined);
  if (description === null && missing.length > 0) {
    const options = missing.map((option) => `--${option}`).join(', ');
    throw new UsageError(`${options}: wanted, the file doesn't describe its network`);
  }
  const classNames = values.classes?.split(',') ?? description!.classNames;
  const before = description?.spec;
  const spec: NetworkSpec = {
    model: (values.model ?? before!.model) as ModelName,
    backbone: values.backbone ?? before!.backbone,
    variant: (values.variant ?? before?.variant ?? 'v1') as Variant,
    numClasses: classNames.length,
    widthMultiplier: positive('width', values.width) ?? before?.widthMultiplier ?? 1,
  };
  checkNetwork(spec);
  const normalisation = description?.normalisation;
  const pixelStd = three('pixel-std', values['pixel-std']) ?? normalisation!.pixelStd;
  if (pixelStd.some((value) => value <= 0)) {
    throw new UsageError(`--pixel-std: ${pixelStd} given, wanted numbers above 0`);
  }
  return {
    spec,
    normalisation: {
      pixelMean: three('pixel-mean', values['pixel-mean']) ?? normalisation!.pixelMean,
      pixelStd,
      channelOrder: order(values['channel-order']) ?? normalisation!.channelOrder,
    },
    classNames: checkNames(classNames),
  };
}

function checkNetwork(spec: NetworkSpec): void {
  try {
    checkSpec(spec);
  } catch (error) {
    throw new UsageError(`--${(error as Error).message.replace('widthMultiplier', 'width')}`);
  }
}

function checkNames(names: readonly string[]): readonly string[] {
  if (names.some((name) => name.trim() === '')) {
    throw new UsageError(`--classes: ${names.join()} given, wanted names that aren't empty`);
  }
  return names;
}

function order(text: string | undefined): 'rgb' | 'bgr' | undefined {
  if (text === undefined || text === 'rgb' || text === 'bgr') return text;
  throw new UsageError(`--channel-order: ${text} given, wanted rgb or bgr`);
}

function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && value > 0) return value;
  throw new UsageError(`--${option}: ${text} given, wanted a number above 0`);
}

function three(option: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',');
  const numbers = parts.map(Number);
  const good = parts.every((part, i) => part.trim() !== '' && Number.isFinite(numbers[i]));
  if (good && numbers.length === 3) return numbers;
  throw new UsageError(`--${option}: ${text} given, wanted three numbers with commas between`);
}
