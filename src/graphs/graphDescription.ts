/** What a teacher knows about a graph, and from which source. */
import type { PixelNormalisation } from '../models/normalise.js';
import type { GraphLayout, SettingName } from './graphSettings.js';
import type { FixedSize } from './trialRun.js';

export interface GraphDescription {
  readonly layout: GraphLayout;
  readonly normalisation: PixelNormalisation;
  /** Names of outputs. */
  readonly logits: string;
  readonly feature: string | null;
  readonly classes: number;
  /** 0 if there is no feature. */
  readonly featureChannels: number;
  readonly outputStride: number;
  readonly alignCorners: boolean;
  /** Empty if neither settings nor graph give them. */
  readonly classNames: readonly string[];
  /** The graph takes one image at a time. */
  readonly isSingle: boolean;
  readonly size: FixedSize;
}

export interface Finding {
  readonly key: SettingName;
  readonly value: string;
  /** "config", "model.yaml", "the graph: its name", "default". */
  readonly from: string;
}

export interface GraphReading {
  readonly findings: readonly Finding[];
  /** "key (question)" for each setting that must be given. */
  readonly missing: readonly string[];
  readonly faults: readonly string[];
  /** null if something is missing or doesn't fit. */
  readonly description: GraphDescription | null;
}
