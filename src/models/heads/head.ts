/** The interface of a network's heads, main and auxiliary. */
import type { Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import type { Classifier } from '../layers.js';

export interface Head {
  /** Channels of the feature. */
  readonly channels: number;
  /** Maps the feature to the logits. */
  readonly classifier: Classifier;
  /**
   * feature: raw input of the classifier (after dropout), called "embedding" in the golden cases. Frees x, which nobody else
   * needs, unless the tape holds it.
   */
  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var };
}

export interface HeadOptions {
  readonly inputs: number;
  /** Channels of the feature. */
  readonly channels: number;
  readonly classes: number;
  /** How a head resizes its branches; see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
}

/** Creates a head's entries in state-dict order. */
export type MakeHead = (at: Builder, options: HeadOptions) => Head;
