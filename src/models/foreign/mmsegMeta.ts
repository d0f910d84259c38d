/**
 * Reads what mmsegmentation's trainers save along with the weights: the config as Python text, and the
 * classes. The weights alone don't show strides, dilations, align_corners or the pixel normalisation.
 * Source: mmcv's CheckpointHook (meta.config, meta.CLASSES) and mmengine's Runner.save_checkpoint
 * (meta.cfg, meta.dataset_meta.classes).
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { PixelNormalisation } from '../normalise.js';

export interface TrainerMeta {
  /** The config's text. */
  readonly config: string | null;
  readonly classNames: readonly string[] | null;
}

export interface MmsegSettings {
  readonly alignCorners?: boolean;
  readonly normalisation?: PixelNormalisation;
}

/** Settings for which this project's networks support one value only (…-d8). */
const FIXED = [
  { key: 'strides', wanted: ['1,2,1,1'] },
  // The backbone's, and a DeepLabV3 head's.
  { key: 'dilations', wanted: ['1,1,2,4', '1,12,24,36'] },
  { key: 'pool_scales', wanted: ['1,2,3,6'] },
  { key: 'multi_grid', wanted: [] },
] as const;

/**
 * Throws CheckpointError naming the setting if the config has strides or dilations that this project's
 * network of the same names doesn't have, or contradicts itself.
 */
export function mmsegSettings(config: string): MmsegSettings {
  for (const { key, wanted } of FIXED) {
    for (const given of listsOf(config, key)) {
      if (!wanted.some((list) => list === given)) throw otherNetwork(`${key}=(${given})`, wanted);
    }
  }
  if (/\bcontract_dilation\s*=\s*False\b/.test(config)) {
    throw otherNetwork('contract_dilation=False', ['True']);
  }
  const corners = only('align_corners', valuesOf(config, /\balign_corners\s*=\s*(True|False)\b/g));
  const normalisation = normalisationOf(config);
  return {
    ...(corners === null ? {} : { alignCorners: corners === 'True' }),
    ...(normalisation === null ? {} : { normalisation }),
  };
}

function otherNetwork(given: string, wanted: readonly string[]): CheckpointError {
  return new CheckpointError(
    `meta: the config says ${given}, wanted ${wanted.join(' or ') || 'none'}: ` +
      'another network with the same names; serve it as an ONNX file (docs/teachers.md)',
  );
}

/** null unless the config has all three settings. */
function normalisationOf(config: string): PixelNormalisation | null {
  const mean = only('mean', listsOf(config, 'mean'));
  const std = only('std', listsOf(config, 'std'));
  const toRgb = only('to_rgb', valuesOf(config, /\b(?:bgr_)?to_rgb\s*=\s*(True|False)\b/g));
  if (mean === null || std === null || toRgb === null) return null;
  const [pixelMean, pixelStd] = [mean, std].map((list) => list.split(',').map(Number));
  const isUsable =
    [...pixelMean!, ...pixelStd!].every(Number.isFinite) && pixelStd!.every((value) => value > 0);
  if (pixelMean!.length !== 3 || pixelStd!.length !== 3 || !isUsable) {
    throw new CheckpointError(`meta: the config says mean=[${mean}], std=[${std}]`);
  }
  // The pipeline reads BGR.
  const channelOrder = toRgb === 'True' ? 'rgb' : 'bgr';
  return { pixelMean: pixelMean!, pixelStd: pixelStd!, channelOrder };
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
function only(key: string, values: readonly string[]): string | null {
  const different = [...new Set(values)];
  if (different.length <= 1) return different[0] ?? null;
  throw new CheckpointError(
    `meta: the config says ${key} in ${different.length} ways: ${different.join('; ')}`,
  );
}
