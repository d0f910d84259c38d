/** What is said of a graph that the graph itself may not say. */
import { OFFICIAL_NORMALISATION, type PixelNormalisation } from '../models/normalise.js';

export type GraphLayout = 'nchw' | 'nhwc';

/** null: to be told from the graph. */
export interface GraphSettings {
  readonly logits: string | null;
  /** NO_FEATURE: none is used, whatever the graph has. */
  readonly feature: string | null;
  readonly layout: GraphLayout | null;
  readonly normalisation: NormalisationName | null;
  /** In place of a name: all three. */
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

/** PyTorch's own default for interpolate, and what torchvision and mmsegmentation train with. */
export const DEFAULT_ALIGN_CORNERS = false;

/** Settings, and for messages where each of them was said; what isn't there is told from the graph. */
export interface SaidSettings {
  readonly settings: GraphSettings;
  /** "model.yaml", "config". */
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

/** undefined where neither a name nor all three parts are there. */
export function normalisationOf(settings: GraphSettings): PixelNormalisation | undefined {
  const { normalisation, pixelMean, pixelStd, channelOrder } = settings;
  if (normalisation !== null) return NORMALISATIONS[normalisation];
  if (pixelMean === null || pixelStd === null || channelOrder === null) return undefined;
  return { pixelMean, pixelStd, channelOrder };
}
