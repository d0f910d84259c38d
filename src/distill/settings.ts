/** The settings of the objective, with the names of the config's keys. */
import type { OhemOptions } from '../losses/hardPixels.js';
import type { Tiling } from '../losses/tiling.js';
import type { PixelEnqueue } from '../memory/pixelMemoryBank.js';
import type { TermWeights } from '../contract/terms.js';

export interface ObjectiveSettings {
  readonly classes: number;
  /** Channels of the teacher's feature; 0: it has none, or there's no teacher. */
  readonly teacherChannels: number;
  /** A term with weight 0 is not computed. */
  readonly weights: TermWeights;
  /** Weight of the auxiliary head inside `task`. */
  readonly auxWeight: number;
  /** How the student's logits are resized to the labels: see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /** See TaskCeOptions. */
  readonly classWeights?: readonly number[] | null;
  readonly ohem?: OhemOptions | null;
  readonly kdTemperature: number;
  /** Of cwd_feature and cwd_logits. */
  readonly cwdTemperature: number;
  /** Of dsd_csd. */
  readonly dsdTemperature: number;
  readonly contrastTemperature: number;
  readonly contrastKdTemperature: number;
  /** Number of images that are compared with one another; 0: the whole micro-batch. */
  readonly minibatchGroup: number;
  readonly minibatchPooling: 'auto' | 'never';
  readonly tiling: Tiling;
  /** See MemoryContrastOptions. */
  readonly bankProducts?: 'fp32' | 'bf16';
  /** Rows of each class that are drawn per forward pass; see `rowsPerClass`. */
  readonly pixelContrastRows: number;
  readonly regionContrastRows: number;
  /** Rows of the channel bank that are drawn per forward pass. */
  readonly channelContrastRows: number;
  /** Most rows that one batch adds to the channel bank. */
  readonly channelUpdateFreq: number;
  /** Most pixels of one class that one image adds. */
  readonly pixelUpdateFreq: number;
  /** Earlier steps only fill the banks. */
  readonly memoryStartStep: number;
  /** Whether defects of the official code are reproduced (the config section `reference`). */
  readonly pixelEnqueue: PixelEnqueue;
  readonly allIgnored: 'zero' | 'nan';
}

/** Rows per class for a total over all classes, as the official trainers count them. */
export function rowsPerClass(total: number, classes: number): number {
  return Math.floor(total / classes) + 1;
}
