/**
 * ResNet with a deep stem, dilated to stride 8.
 * Source: He et al., "Deep residual learning" (CVPR 2016); stem and dilations as in CIRKD's code.
 */
import { differentiable, scope, type Var } from '../tensor/index.js';
import type { Backbone } from './backbone.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import { ConvolutionUnit, type Layer, sequence } from './layers.js';
import type { ChannelScale } from './spec.js';

type BlockKind = 'basic' | 'bottleneck';

const RESNETS = {
  resnet18: { block: 'basic', counts: [2, 2, 2, 2] },
  resnet34: { block: 'basic', counts: [3, 4, 6, 3] },
  resnet50: { block: 'bottleneck', counts: [3, 4, 6, 3] },
  resnet101: { block: 'bottleneck', counts: [3, 4, 23, 3] },
} as const;

export type ResnetName = keyof typeof RESNETS;

/** Per layer; firstDilation is that of the (first) 3x3 convolution of the layer's first block. */
const LAYERS = [
  { planes: 64, stride: 1, dilation: 1, firstDilation: 1 },
  { planes: 128, stride: 2, dilation: 1, firstDilation: 1 },
  { planes: 256, stride: 1, dilation: 2, firstDilation: 1 },
  { planes: 512, stride: 1, dilation: 4, firstDilation: 2 },
] as const;

/** Output channels of a block by its planes. */
const EXPANSION = { basic: 1, bottleneck: 4 } as const;

interface BlockOptions {
  readonly kind: BlockKind;
  readonly inputs: number;
  readonly planes: number;
  readonly outputs: number;
  readonly stride: number;
  /** Of the first 3x3 convolution, and of the second where there is one. */
  readonly dilations: readonly [number, number];
  readonly shortcut: boolean;
}

class ResidualBlock implements Layer {
  readonly #path: readonly Layer[];
  readonly #shortcut: Layer | null;

  constructor(at: Builder, options: BlockOptions) {
    this.#path = options.kind === 'basic' ? basicPath(at, options) : bottleneckPath(at, options);
    const { inputs, outputs, stride } = options;
    const down = at.at('downsample');
    const projection = { inputs, outputs, kernel: 1, stride, activation: 'none' } as const;
    this.#shortcut = options.shortcut
      ? new ConvolutionUnit(down.at(0), down.at(1), projection)
      : null;
  }

  forward(context: ForwardContext, x: Var): Var {
    return scope(() => {
      const residual = sequence(context, x, this.#path);
      const shortcut = this.#shortcut === null ? x : this.#shortcut.forward(context, x);
      const sum = differentiable.add(context.tape, residual, shortcut);
      return differentiable.relu(context.tape, sum);
    });
  }
}

function basicPath(at: Builder, { inputs, planes, stride, dilations }: BlockOptions): Layer[] {
  const [first, second] = dilations;
  return [
    new ConvolutionUnit(at.at('conv1'), at.at('bn1'), {
      inputs,
      outputs: planes,
      kernel: 3,
      stride,
      dilation: first,
      activation: 'relu',
    }),
    new ConvolutionUnit(at.at('conv2'), at.at('bn2'), {
      inputs: planes,
      outputs: planes,
      kernel: 3,
      dilation: second,
      activation: 'none',
    }),
  ];
}

function bottleneckPath(at: Builder, options: BlockOptions): Layer[] {
  const { inputs, planes, outputs, stride, dilations } = options;
  return [
    new ConvolutionUnit(at.at('conv1'), at.at('bn1'), {
      inputs,
      outputs: planes,
      kernel: 1,
      activation: 'relu',
    }),
    new ConvolutionUnit(at.at('conv2'), at.at('bn2'), {
      inputs: planes,
      outputs: planes,
      kernel: 3,
      stride,
      dilation: dilations[0],
      activation: 'relu',
    }),
    new ConvolutionUnit(at.at('conv3'), at.at('bn3'), {
      inputs: planes,
      outputs,
      kernel: 1,
      activation: 'none',
    }),
  ];
}

class MaxPool implements Layer {
  forward({ tape }: ForwardContext, x: Var): Var {
    return differentiable.maxPool(tape, x, { window: 3, stride: 2, padding: 1 });
  }
}

export class Resnet implements Backbone {
  readonly channels: number;
  readonly auxChannels: number;
  readonly #stem: readonly Layer[];
  readonly #layers: readonly (readonly Layer[])[];

  constructor(at: Builder, name: ResnetName, scale: ChannelScale) {
    const { block: kind, counts } = RESNETS[name];
    const stem = (index: number, inputs: number, outputs: number, stride: number) =>
      new ConvolutionUnit(at.at(`conv${index}`), at.at(`bn${index}`), {
        inputs,
        outputs,
        kernel: 3,
        stride,
        activation: 'relu',
      });
    this.#stem = [
      stem(1, 3, scale(64), 2),
      stem(2, scale(64), scale(64), 1),
      stem(3, scale(64), scale(128), 1),
      new MaxPool(),
    ];
    let inputs = scale(128);
    const outputs = LAYERS.map(({ planes }) => scale(planes * EXPANSION[kind]));
    this.#layers = LAYERS.map(({ planes, stride, dilation, firstDilation }, layer) =>
      Array.from({ length: counts[layer]! }, (_, index) => {
        const first = index === 0;
        const block = new ResidualBlock(at.at(`layer${layer + 1}`).at(index), {
          kind,
          inputs,
          planes: scale(planes),
          outputs: outputs[layer]!,
          stride: first ? stride : 1,
          dilations: [first ? firstDilation : dilation, dilation],
          shortcut: first,
        });
        inputs = outputs[layer]!;
        return block;
      }),
    );
    this.auxChannels = outputs[2]!;
    this.channels = outputs[3]!;
  }

  forward(context: ForwardContext, image_NHWC: Var): { feature: Var; aux: Var } {
    return scope(() => {
      let feature = sequence(context, image_NHWC, this.#stem);
      let aux = feature;
      for (const [index, blocks] of this.#layers.entries()) {
        const next = sequence(context, feature, blocks);
        context.observe?.(`layer${index + 1}`, next);
        // The output of the third layer outlives the fourth: the auxiliary head takes it.
        if (index < 3) {
          feature.value.dispose();
          aux = next;
        }
        feature = next;
      }
      return { feature, aux };
    });
  }
}
