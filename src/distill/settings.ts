/** What decides the objective, in the words of the config. */
import type { Tiling } from '../losses/tiling.js';
import type { PixelEnqueue } from '../memory/pixelMemoryBank.js';
import type { TermWeights } from '../contract/terms.js';

export interface ObjectiveSettings {
  readonly classes: number;
  /** A term with weight 0 is not computed. */
  readonly weights: TermWeights;
  /** Weight of the auxiliary head inside `task`. */
  readonly auxWeight: number;
  /** How the student's logits come to the labels' size, see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  readonly kdTemperature: number;
  readonly contrastTemperature: number;
  readonly contrastKdTemperature: number;
  /** Images compared with one another; 0: the whole micro-batch. */
  readonly minibatchGroup: number;
  readonly minibatchPooling: 'auto' | 'never';
  readonly tiling: Tiling;
  /** Rows drawn of each class a forward pass; see `rowsPerClass`. */
  readonly pixelContrastRows: number;
  readonly regionContrastRows: number;
  /** Pixels of one class that one image adds, at most. */
  readonly pixelUpdateFreq: number;
  /** Steps before it only fill the banks. */
  readonly memoryStartStep: number;
  /** Defects of the official code. */
  readonly pixelEnqueue: PixelEnqueue;
  readonly allIgnored: 'zero' | 'nan';
}

/** Rows of each class for a total over all classes, as the official trainers count. */
export function rowsPerClass(total: number, classes: number): number {
  return Math.floor(total / classes) + 1;
}
