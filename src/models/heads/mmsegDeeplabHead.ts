/**
 * mmsegmentation's DeepLabV3 head (ASPPHead): atrous spatial pyramid pooling, then a 3x3 convolution.
 * Source: Chen et al., "Rethinking atrous convolution" (2017); names, dilations and dropout as in
 * mmsegmentation's deeplabv3_r*-d8 configs.
 */
import { Classifier, Dropout } from '../layers.js';
import { Branches, convModule, PooledBranch } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

/** The branch with dilation 1 has a 1x1 kernel. */
const DILATIONS = [1, 12, 24, 36];

export const mmsegDeeplabHead: MakeHead = (at, options) => {
  const { inputs, channels, classes, alignCorners } = options;
  const classifier = new Classifier(at.at('conv_seg'), channels, classes);
  const toChannels = { inputs, outputs: channels };
  const pooled = convModule(at.at('image_pool').at(1), { ...toChannels, kernel: 1 });
  const atrous = DILATIONS.map((dilation, index) => {
    const kernel = dilation === 1 ? 1 : 3;
    return convModule(at.at('aspp_modules').at(index), { ...toChannels, kernel, dilation });
  });
  const branches = [new PooledBranch(1, pooled, alignCorners), ...atrous];
  const joined = branches.length * channels;
  const layers = [
    new Branches(branches),
    convModule(at.at('bottleneck'), { inputs: joined, outputs: channels, kernel: 3 }),
    new Dropout(at, 0.1, 'channel'),
  ];
  return new FeatureHead(channels, layers, classifier);
};
