/** Settings for what a graph doesn't say about itself. */
import { OFFICIAL_NORMALISATION, type PixelNormalisation } from '../models/normalise.js';

export type GraphLayout = 'nchw' | 'nhwc';

/** null: to be detected from the graph. */
export interface GraphSettings {
  readonly logits: string | null;
  /** NO_FEATURE: use none, whatever the graph has. */
  readonly feature: string | null;
  readonly layout: GraphLayout | null;
  readonly normalisation: NormalisationName | null;
  /** All three together replace `normalisation`. */
  readonly pixelMean: readonly number[] | null;
  readonly pixelStd: readonly number[] | null;
  readonly channelOrder: 'rgb' | 'bgr' | null;
  readonly classes: number | null;
  readonly classNames: readonly string[] | null;
  readonly outputStride: number | null;
  readonly alignCorners: boolean | null;
}

export type SettingName = keyof GraphSettings;

export const NO_FEATURE = 'none';

/** PyTorch's default for interpolate, also used in training by torchvision and mmsegmentation. */
export const DEFAULT_ALIGN_CORNERS = false;

/** Settings and, for messages, the source of each. */
export interface GivenSettings {
  readonly settings: GraphSettings;
  /** "model.yaml", "config"; no entry for a setting that wasn't given. */
  readonly origins: Readonly<Partial<Record<SettingName, string>>>;
}

export const NORMALISATIONS = {
  /** torchvision's transforms. */
  imagenet: {
    pixelMean: [123.675, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  },
  official: OFFICIAL_NORMALISATION,
  unit: { pixelMean: [0, 0, 0], pixelStd: [255, 255, 255], channelOrder: 'rgb' },
  none: { pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'rgb' },
} as const satisfies Readonly<Record<string, PixelNormalisation>>;

export type NormalisationName = keyof typeof NORMALISATIONS;

export const NO_SETTINGS: GraphSettings = {
  logits: null,
  feature: null,
  layout: null,
  normalisation: null,
  pixelMean: null,
  pixelStd: null,
  channelOrder: null,
  classes: null,
  classNames: null,
  outputStride: null,
  alignCorners: null,
};

/** undefined unless the settings give a name or all three parts. */
export function normalisationOf(settings: GraphSettings): PixelNormalisation | undefined {
  const { normalisation, pixelMean, pixelStd, channelOrder } = settings;
  if (normalisation !== null) return NORMALISATIONS[normalisation];
  if (pixelMean === null || pixelStd === null || channelOrder === null) return undefined;
  return { pixelMean, pixelStd, channelOrder };
}
