/**
 * The stem of a ResNet, before its blocks: convolutions with stride 2, then max pooling to stride 4.
 * Sources: plain as in He et al., "Deep residual learning" (CVPR 2016) and torchvision; deep as in
 * CIRKD's code; v1c as in mmsegmentation's ResNetV1c. Names as theirs.
 */
import { differentiable, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { ConvolutionUnit, type Layer } from '../layers.js';
import type { ChannelScale } from '../spec.js';

/** deep: three 3x3 convolutions; plain: one 7x7; v1c: three 3x3 with half of deep's channels. */
export type StemName = 'deep' | 'plain' | 'v1c';

/** `outputs`: official output channels. */
const CONVOLUTIONS = {
  deep: [
    { kernel: 3, stride: 2, outputs: 64 },
    { kernel: 3, stride: 1, outputs: 64 },
    { kernel: 3, stride: 1, outputs: 128 },
  ],
  plain: [{ kernel: 7, stride: 2, outputs: 64 }],
  v1c: [
    { kernel: 3, stride: 2, outputs: 32 },
    { kernel: 3, stride: 1, outputs: 32 },
    { kernel: 3, stride: 1, outputs: 64 },
  ],
} as const;

const PLAIN_SUFFIX = '_plain';
const SUFFIXES = { deep: '', plain: PLAIN_SUFFIX, v1c: '_v1c' } as const;

/** The stem is part of a backbone's name because it decides which weights fit: resnet50, resnet50_v1c. */
export function backboneName(resnet: string, stem: StemName): string {
  return `${resnet}${SUFFIXES[stem]}`;
}

/** Detects the stem from the first convolution's weights; deep if they are missing. */
export function stemOfWeights(conv1: { readonly shape: readonly number[] } | undefined): StemName {
  return conv1?.shape[2] === CONVOLUTIONS.plain[0].kernel ? 'plain' : 'deep';
}

export interface Stem {
  readonly layers: readonly Layer[];
  /** Output channels of the official network, and of this one. */
  readonly officialChannels: number;
  readonly channels: number;
}

class MaxPool implements Layer {
  forward({ tape }: ForwardContext, x: Var): Var {
    return differentiable.maxPool(tape, x, { window: 3, stride: 2, padding: 1 });
  }
}

export function resnetStem(at: Builder, name: StemName, scale: ChannelScale): Stem {
  let [officialChannels, channels] = [3, 3];
  const units = CONVOLUTIONS[name].map(({ kernel, stride, outputs }, index) => {
    const unit = new ConvolutionUnit(...unitBuilders(at, name, index), {
      inputs: channels,
      outputs: scale(outputs),
      kernel,
      stride,
      activation: 'relu',
    });
    [officialChannels, channels] = [outputs, scale(outputs)];
    return unit;
  });
  return { layers: [...units, new MaxPool()], officialChannels, channels };
}

/** Builders of a convolution and its norm. v1c keeps all layers in one Sequential, activations included. */
function unitBuilders(at: Builder, name: StemName, index: number): [Builder, Builder] {
  if (name !== 'v1c') return [at.at(`conv${index + 1}`), at.at(`bn${index + 1}`)];
  const stem = at.at('stem');
  return [stem.at(3 * index), stem.at(3 * index + 1)];
}
