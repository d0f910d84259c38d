/** What a network knows of its head. */
import type { Var } from '../tensor/index.js';
import type { ForwardContext } from './context.js';

export interface Head {
  /** Channels of the feature. */
  readonly channels: number;
  /** feature: raw input of the classifier (after dropout), the "embedding" of the golden cases. */
  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var };
}
