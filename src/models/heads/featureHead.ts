/** The common form of heads: layers that turn a map into the feature, then a classifier. */
import { scope, type Var } from '../../tensor/index.js';
import type { ForwardContext } from '../context.js';
import { type Classifier, type Layer, sequence } from '../layers.js';
import type { Head } from './head.js';

export class FeatureHead implements Head {
  readonly channels: number;
  readonly classifier: Classifier;
  readonly #layers: readonly Layer[];

  constructor(channels: number, layers: readonly Layer[], classifier: Classifier) {
    this.channels = channels;
    this.classifier = classifier;
    this.#layers = layers;
  }

  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var } {
    return scope(() => {
      const feature = sequence(context, x, this.#layers, true);
      return { logits: this.classifier.forward(context, feature), feature };
    });
  }
}
