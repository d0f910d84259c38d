/**
 * The block of ResNet-50 and 101: 1x1, 3x3 and 1x1 convolutions, the stride on the 3x3 one.
 * Source: He et al., "Deep residual learning" (CVPR 2016); names and stride as in torchvision.
 */
import type { Builder } from '../builder.js';
import { ConvolutionUnit, type Layer } from '../layers.js';
import { type BlockOptions, ResidualBlock } from './residualBlock.js';

export function bottleneck(at: Builder, options: BlockOptions): Layer {
  const { inputs, planes, outputs, stride, dilations } = options;
  const path = [
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
      activation: 'relu',
    }),
  ];
  return new ResidualBlock(at, path, options);
}
