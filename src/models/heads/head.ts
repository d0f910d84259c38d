/** What a network knows of its heads: the one that segments, and the auxiliary one. */
import type { Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import type { Classifier } from '../layers.js';

export interface Head {
  /** Channels of the feature. */
  readonly channels: number;
  /** From the feature to the logits. */
  readonly classifier: Classifier;
  /** feature: raw input of the classifier (after dropout), the "embedding" of the golden cases. */
  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var };
}

export interface HeadOptions {
  readonly inputs: number;
  /** Of the feature. */
  readonly channels: number;
  readonly classes: number;
  /** How a head resizes its branches, see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
}

/** Makes a head's entries in state-dict order. */
export type MakeHead = (at: Builder, options: HeadOptions) => Head;
