/**
 * MobileNetV2 without its last 1x1 convolution, dilated to stride 8.
 * Source: Sandler et al., "MobileNetV2" (CVPR 2018); dilations as in CIRKD's code.
 */
import { scope, type Var } from '../../tensor/index.js';
import type { Backbone } from './backbone.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { ConvolutionUnit, type Layer, sequence } from '../layers.js';
import type { ChannelScale } from '../spec.js';

/** Groups of blocks; firstDilation is the dilation of the group's first block. */
const GROUPS = [
  { expansion: 1, outputs: 16, blocks: 1, stride: 1, dilation: 1, firstDilation: 1 },
  { expansion: 6, outputs: 24, blocks: 2, stride: 2, dilation: 1, firstDilation: 1 },
  { expansion: 6, outputs: 32, blocks: 3, stride: 2, dilation: 1, firstDilation: 1 },
  { expansion: 6, outputs: 64, blocks: 4, stride: 1, dilation: 2, firstDilation: 1 },
  { expansion: 6, outputs: 96, blocks: 3, stride: 1, dilation: 2, firstDilation: 2 },
  { expansion: 6, outputs: 160, blocks: 3, stride: 1, dilation: 4, firstDilation: 2 },
  { expansion: 6, outputs: 320, blocks: 1, stride: 1, dilation: 4, firstDilation: 4 },
] as const;

interface BlockOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly expansion: number;
  readonly stride: number;
  readonly dilation: number;
  readonly residual: boolean;
}

class InvertedResidual implements Layer {
  readonly #inner: readonly ConvolutionUnit[];
  readonly #last: ConvolutionUnit;
  readonly #residual: boolean;

  constructor(block: Builder, options: BlockOptions) {
    const { inputs, outputs, expansion, stride, dilation } = options;
    const at = block.at('conv');
    const hidden = inputs * expansion;
    const depthwiseAt = expansion === 1 ? 0 : 3;
    const unit = (index: number, unitOptions: ConstructorParameters<typeof ConvolutionUnit>[2]) =>
      new ConvolutionUnit(at.at(index), at.at(index + 1), unitOptions);
    this.#inner = [
      ...(expansion === 1
        ? []
        : [unit(0, { inputs, outputs: hidden, kernel: 1, activation: 'relu6' })]),
      unit(depthwiseAt, {
        inputs: hidden,
        outputs: hidden,
        kernel: 3,
        stride,
        dilation,
        depthwise: true,
        activation: 'relu6',
      }),
    ];
    this.#last = unit(depthwiseAt + 3, { inputs: hidden, outputs, kernel: 1, activation: 'none' });
    this.#residual = options.residual;
  }

  forward(context: ForwardContext, x: Var): Var {
    return scope(() => {
      const inner = sequence(context, x, this.#inner);
      const y = this.#last.forward(context, inner, this.#residual ? x : null);
      if (inner !== x) inner.value.dispose();
      return y;
    });
  }
}

/** Reports its output as a stage of the backbone. */
class Observed implements Layer {
  readonly #stage: string;
  readonly #layer: Layer;

  constructor(stage: string, layer: Layer) {
    this.#stage = stage;
    this.#layer = layer;
  }

  forward(context: ForwardContext, x: Var): Var {
    const y = this.#layer.forward(context, x);
    context.observe?.(this.#stage, y);
    return y;
  }
}

export class MobilenetV2 implements Backbone {
  readonly channels: number;
  readonly auxChannels = null;
  readonly #features: readonly Layer[];

  constructor(builder: Builder, scale: ChannelScale) {
    const at = builder.at('net').at('features');
    let inputs = scale(32);
    const stem = new ConvolutionUnit(at.at(0).at(0), at.at(0).at(1), {
      inputs: 3,
      outputs: inputs,
      kernel: 3,
      stride: 2,
      activation: 'relu6',
    });
    const features: Layer[] = [new Observed('features.0', stem)];
    for (const group of GROUPS) {
      const outputs = scale(group.outputs);
      for (let index = 0; index < group.blocks; index++) {
        const number = features.length;
        const block = new InvertedResidual(at.at(number), {
          inputs,
          outputs,
          expansion: group.expansion,
          stride: index === 0 ? group.stride : 1,
          dilation: index === 0 ? group.firstDilation : group.dilation,
          residual: index > 0,
        });
        features.push(new Observed(`features.${number}`, block));
        inputs = outputs;
      }
    }
    this.#features = features;
    this.channels = inputs;
  }

  forward(context: ForwardContext, image_NHWC: Var): { feature: Var; aux: null } {
    return { feature: sequence(context, image_NHWC, this.#features), aux: null };
  }
}
