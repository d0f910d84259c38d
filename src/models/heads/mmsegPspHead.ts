/**
 * mmsegmentation's PSP head: pyramid pooling, then a 3x3 convolution. Each level has as many channels as
 * the feature.
 * Source: Zhao et al., "Pyramid scene parsing network" (CVPR 2017); names and dropout as in
 * mmsegmentation's pspnet_r*-d8 configs.
 */
import { Classifier, Dropout } from '../layers.js';
import { Branches, convModule, identity, PooledBranch } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

const PYRAMID_SIZES = [1, 2, 3, 6];

export const mmsegPspHead: MakeHead = (at, options) => {
  const { inputs, channels, classes, alignCorners } = options;
  const classifier = new Classifier(at.at('conv_seg'), channels, classes);
  const levels = PYRAMID_SIZES.map((size, index) => {
    const level = at.at('psp_modules').at(index).at(1);
    const unit = convModule(level, { inputs, outputs: channels, kernel: 1 });
    return new PooledBranch(size, unit, alignCorners);
  });
  const joined = inputs + levels.length * channels;
  const layers = [
    new Branches([identity, ...levels]),
    convModule(at.at('bottleneck'), { inputs: joined, outputs: channels, kernel: 3 }),
    new Dropout(at, 0.1, 'channel'),
  ];
  return new FeatureHead(channels, layers, classifier);
};
