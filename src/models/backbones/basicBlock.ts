/**
 * The block of ResNet-18 and 34: two 3x3 convolutions.
 * Source: He et al., "Deep residual learning" (CVPR 2016); names as in torchvision.
 */
import type { Builder } from '../builder.js';
import { ConvolutionUnit, type Layer } from '../layers.js';
import { type BlockOptions, ResidualBlock } from './residualBlock.js';

export function basicBlock(at: Builder, options: BlockOptions): Layer {
  const { inputs, planes, stride, dilations } = options;
  const [first, second] = dilations;
  const path = [
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
      activation: 'relu',
    }),
  ];
  return new ResidualBlock(at, path, options);
}
