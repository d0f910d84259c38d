/**
 * DeepLabV3 head: atrous spatial pyramid pooling, then a 3x3 convolution.
 * Source: Chen et al., "Rethinking atrous convolution" (2017); names as in CIRKD's code.
 */
import { differentiable, scope, type Var } from '../tensor/index.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import type { Head } from './head.js';
import { Classifier, ConvolutionUnit, Dropout, type Layer, sequence } from './layers.js';

const DILATIONS = [12, 24, 36];

/** The image-level branch: pooled over all positions, spread over all again. */
class ImagePooling implements Layer {
  readonly #unit: ConvolutionUnit;

  constructor(at: Builder, inputs: number, outputs: number) {
    this.#unit = new ConvolutionUnit(at.at('gap').at(1), at.at('gap').at(2), {
      inputs,
      outputs,
      kernel: 1,
      activation: 'relu',
    });
  }

  forward(context: ForwardContext, x: Var): Var {
    const [, height, width] = x.shape;
    return scope(() => {
      const pooled = differentiable.globalAveragePool(context.tape, x);
      const y = this.#unit.forward(context, pooled);
      return differentiable.resizeBilinear(context.tape, y, height!, width!);
    });
  }
}

export class DeeplabHead implements Head {
  readonly channels: number;
  readonly classifier: Classifier;
  readonly #branches: readonly Layer[];
  readonly #tail: readonly Layer[];

  constructor(at: Builder, inputs: number, channels: number, classes: number) {
    const aspp = at.at('aspp');
    const unit = (owner: Builder, from: number, kernel: number, dilation = 1) =>
      new ConvolutionUnit(owner.at(0), owner.at(1), {
        inputs: from,
        outputs: channels,
        kernel,
        dilation,
        activation: 'relu',
      });
    this.channels = channels;
    this.#branches = [
      unit(aspp.at('b0'), inputs, 1),
      ...DILATIONS.map((dilation, index) =>
        unit(aspp.at(`b${index + 1}`).at('block'), inputs, 3, dilation),
      ),
      new ImagePooling(aspp.at('b4'), inputs, channels),
    ];
    const block = at.at('block');
    this.#tail = [
      unit(aspp.at('project'), 5 * channels, 1),
      new Dropout(aspp, 0.5),
      unit(block, channels, 3),
      new Dropout(block, 0.1),
    ];
    this.classifier = new Classifier(block.at(4), channels, classes);
  }

  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var } {
    return scope(() => {
      const joined = scope(() => {
        const outputs = this.#branches.map((branch) => branch.forward(context, x));
        return differentiable.concat(context.tape, outputs, 3);
      });
      const feature = sequence(context, joined, this.#tail);
      return { logits: this.classifier.forward(context, feature), feature };
    });
  }
}
