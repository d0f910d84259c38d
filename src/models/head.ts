/** What a network knows of its head. */
import type { Var } from '../tensor/index.js';
import type { ForwardContext } from './context.js';
import type { Classifier } from './layers.js';

export interface Head {
  /** Channels of the feature. */
  readonly channels: number;
  /** From the feature to the logits. */
  readonly classifier: Classifier;
  /** feature: raw input of the classifier (after dropout), the "embedding" of the golden cases. */
  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var };
}
