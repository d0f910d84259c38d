/**
 * PSP head: pyramid pooling, then a 3x3 convolution.
 * Source: Zhao et al., "Pyramid scene parsing network" (CVPR 2017); names as in CIRKD's code.
 */
import { differentiable, scope, type Var } from '../tensor/index.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import type { Head } from './head.js';
import { Classifier, ConvolutionUnit, Dropout, type Layer, sequence } from './layers.js';

const PYRAMID_SIZES = [1, 2, 3, 6];

/** Averages over size x size bins, brought back to the input's size. */
class PyramidLevel implements Layer {
  readonly #size: number;
  readonly #unit: ConvolutionUnit;

  constructor(at: Builder, size: number, inputs: number, outputs: number) {
    this.#size = size;
    this.#unit = new ConvolutionUnit(at.at(0), at.at(1), {
      inputs,
      outputs,
      kernel: 1,
      activation: 'relu',
    });
  }

  forward(context: ForwardContext, x: Var): Var {
    const [, height, width] = x.shape;
    return scope(() => {
      const pooled = differentiable.adaptiveAveragePool(context.tape, x, this.#size);
      const y = this.#unit.forward(context, pooled);
      return differentiable.resizeBilinear(context.tape, y, height!, width!);
    });
  }
}

export interface PspHeadOptions {
  readonly inputs: number;
  /** Of each of the four levels; officially a quarter of the inputs. */
  readonly levelChannels: number;
  readonly channels: number;
  readonly classes: number;
}

export class PspHead implements Head {
  readonly channels: number;
  readonly classifier: Classifier;
  readonly #levels: readonly Layer[];
  readonly #tail: readonly Layer[];

  constructor(at: Builder, { inputs, levelChannels, channels, classes }: PspHeadOptions) {
    this.channels = channels;
    this.#levels = PYRAMID_SIZES.map(
      (size, index) =>
        new PyramidLevel(at.at('psp').at(`conv${index + 1}`), size, inputs, levelChannels),
    );
    const block = at.at('block');
    this.#tail = [
      new ConvolutionUnit(block.at(0), block.at(1), {
        inputs: inputs + PYRAMID_SIZES.length * levelChannels,
        outputs: channels,
        kernel: 3,
        activation: 'relu',
      }),
      new Dropout(block, 0.1),
    ];
    this.classifier = new Classifier(at.at('classifier'), channels, classes);
  }

  forward(context: ForwardContext, x: Var): { logits: Var; feature: Var } {
    return scope(() => {
      const joined = scope(() => {
        const levels = this.#levels.map((level) => level.forward(context, x));
        return differentiable.concat(context.tape, [x, ...levels], 3);
      });
      const feature = sequence(context, joined, this.#tail);
      return { logits: this.classifier.forward(context, feature), feature };
    });
  }
}
