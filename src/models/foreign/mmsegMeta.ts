/**
 * Reads what mmsegmentation's trainers save along with the weights: the config as Python text, and the
 * classes. The weights alone don't show strides, dilations, align_corners or the pixel normalisation.
 * Source: mmcv's CheckpointHook (meta.config, meta.CLASSES) and mmengine's Runner.save_checkpoint
 * (meta.cfg, meta.dataset_meta.classes).
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { PixelNormalisation } from '../normalise.js';
import { isSegformer } from '../segformer.js';
import type { ModelName } from '../spec.js';

export interface TrainerMeta {
  /** The config's text. */
  readonly config: string | null;
  readonly classNames: readonly string[] | null;
}

export interface MmsegSettings {
  readonly alignCorners?: boolean;
  readonly normalisation?: PixelNormalisation;
}

/** Settings that a user gives: the config is not asked for them. */
export type GivenSettings = Partial<PixelNormalisation> & { readonly alignCorners?: boolean };

interface FixedSetting {
  readonly key: string;
  readonly wanted: readonly string[];
}

/** Settings for which this project's networks support one value only. */
const FIXED: Readonly<Record<'dilated' | 'segformer', readonly FixedSetting[]>> = {
  // ResNets with a head at stride 8 (…-d8).
  dilated: [
    { key: 'strides', wanted: ['1,2,1,1'] },
    // The backbone's, and a DeepLabV3 head's.
    { key: 'dilations', wanted: ['1,1,2,4', '1,12,24,36'] },
    { key: 'pool_scales', wanted: ['1,2,3,6'] },
    { key: 'multi_grid', wanted: [] },
  ],
  // A Mix Transformer's weights are the same for any number of heads, and a map's patches for any stride.
  segformer: [
    { key: 'num_heads', wanted: ['1,2,5,8'] },
    { key: 'strides', wanted: ['4,2,2,2'] },
    { key: 'out_indices', wanted: ['0,1,2,3'] },
    { key: 'in_index', wanted: ['0,1,2,3'] },
  ],
};

/**
 * Throws CheckpointError naming the setting if the config has strides, dilations or heads that this project's
 * network of the same names doesn't have, or contradicts itself in a setting that isn't given.
 *
 * @param model a name of the zoo that begins with mmseg_
 */
export function mmsegSettings(
  config: string,
  model: ModelName,
  given: GivenSettings = {},
): MmsegSettings {
  for (const { key, wanted } of FIXED[isSegformer(model) ? 'segformer' : 'dilated']) {
    for (const list of listsOf(config, key)) {
      if (!wanted.some((one) => one === list)) throw otherNetwork(`${key}=(${list})`, wanted);
    }
  }
  if (/\bcontract_dilation\s*=\s*False\b/.test(config)) {
    throw otherNetwork('contract_dilation=False', ['True']);
  }
  const [mode] = valuesOf(config, /\binterpolate_mode\s*=\s*['"](?!bilinear['"])(\w+)['"]/g);
  if (mode !== undefined) throw otherNetwork(`interpolate_mode=${mode}`, ['bilinear']);
  const corners = given.alignCorners ?? cornersOf(config);
  const normalisation = normalisationOf(config, given);
  return {
    ...(corners === null ? {} : { alignCorners: corners }),
    ...(normalisation === null ? {} : { normalisation }),
  };
}

function otherNetwork(given: string, wanted: readonly string[]): CheckpointError {
  return new CheckpointError(
    `meta: the config says ${given}, wanted ${wanted.join(' or ') || 'none'}: ` +
      'another network with the same names; serve it as an ONNX file (docs/teachers.md)',
  );
}

function cornersOf(config: string): boolean | null {
  const values = valuesOf(config, /\balign_corners\s*=\s*(True|False)\b/g);
  const corners = only('align_corners', values, '--align-corners true|false');
  return corners === null ? null : corners === 'True';
}

/** null unless all three settings are given or in the config. */
function normalisationOf(config: string, given: GivenSettings): PixelNormalisation | null {
  const pixelMean = given.pixelMean ?? numbersOf(config, 'mean', '--pixel-mean X,Y,Z');
  const pixelStd = given.pixelStd ?? numbersOf(config, 'std', '--pixel-std X,Y,Z');
  const channelOrder = given.channelOrder ?? orderOf(config);
  if (pixelMean === null || pixelStd === null || channelOrder === null) return null;
  const isUsable =
    [...pixelMean, ...pixelStd].every(Number.isFinite) && pixelStd.every((value) => value > 0);
  if (pixelMean.length !== 3 || pixelStd.length !== 3 || !isUsable) {
    throw new CheckpointError(`meta: the config says mean=[${pixelMean}], std=[${pixelStd}]`);
  }
  return { pixelMean, pixelStd, channelOrder };
}

function numbersOf(config: string, key: string, option: string): readonly number[] | null {
  return only(key, listsOf(config, key), option)?.split(',').map(Number) ?? null;
}

/** The pipeline reads BGR. */
function orderOf(config: string): 'rgb' | 'bgr' | null {
  const values = valuesOf(config, /\b(?:bgr_)?to_rgb\s*=\s*(True|False)\b/g);
  const toRgb = only('to_rgb', values, '--channel-order rgb|bgr');
  return toRgb === null ? null : toRgb === 'True' ? 'rgb' : 'bgr';
}

/** Contents of each `key=(…)` and `key=[…]`, without blanks and trailing comma. */
function listsOf(config: string, key: string): string[] {
  const pattern = new RegExp(`\\b${key}\\s*=\\s*[([]([-+.\\deE,\\s]*)[)\\]]`, 'g');
  return valuesOf(config, pattern).map((list) => list.replaceAll(/\s/g, '').replace(/,$/, ''));
}

function valuesOf(config: string, pattern: RegExp): string[] {
  return [...config.matchAll(pattern)].map(([, value]) => value!);
}

/** The one value of a key that several heads or datasets repeat; null if there is none. */
function only(key: string, values: readonly string[], option: string): string | null {
  const different = [...new Set(values)];
  if (different.length <= 1) return different[0] ?? null;
  throw new CheckpointError(
    `meta: the config says ${key} in ${different.length} ways: ${different.join('; ')}; ` +
      `say which: ${option}`,
  );
}
