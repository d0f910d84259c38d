/** What a teacher knows of a graph, and where it knows it from. */
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
  /** 0 without a feature. */
  readonly featureChannels: number;
  readonly outputStride: number;
  readonly alignCorners: boolean;
  /** Empty where nobody says them. */
  readonly classNames: readonly string[];
  /** One image at a time. */
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
  /** "key (what is asked)". */
  readonly missing: readonly string[];
  readonly faults: readonly string[];
  /** null where something is missing or doesn't fit. */
  readonly description: GraphDescription | null;
}
