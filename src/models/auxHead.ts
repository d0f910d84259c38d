/** Auxiliary head of the ResNet models: logits from the map before the last layer. */
import type { Var } from '../tensor/index.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import { Classifier, ConvolutionUnit, Dropout, type Layer, sequence } from './layers.js';

export class AuxHead implements Layer {
  readonly #layers: readonly Layer[];

  constructor(at: Builder, inputs: number, channels: number, classes: number) {
    const block = at.at('block');
    this.#layers = [
      new ConvolutionUnit(block.at(0), block.at(1), {
        inputs,
        outputs: channels,
        kernel: 3,
        activation: 'relu',
      }),
      new Dropout(block, 0.1),
      new Classifier(block.at(4), channels, classes),
    ];
  }

  forward(context: ForwardContext, x: Var): Var {
    return sequence(context, x, this.#layers);
  }
}
