/**
 * DeepLabV3 head: atrous spatial pyramid pooling, then a 3x3 convolution.
 * Source: Chen et al., "Rethinking atrous convolution" (2017); names as in CIRKD's code.
 */
import { Classifier, Dropout } from '../layers.js';
import { Branches, PooledBranch, sequentialUnit } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

const DILATIONS = [12, 24, 36];

export const deeplabHead: MakeHead = (at, { inputs, channels, classes }) => {
  const aspp = at.at('aspp');
  const block = at.at('block');
  const toChannels = { inputs, outputs: channels };
  const pointwise = sequentialUnit(aspp.at('b0'), { ...toChannels, kernel: 1 });
  const atrous = DILATIONS.map((dilation, index) => {
    const branch = aspp.at(`b${index + 1}`).at('block');
    return sequentialUnit(branch, { ...toChannels, kernel: 3, dilation });
  });
  const pooled = sequentialUnit(aspp.at('b4').at('gap'), { ...toChannels, kernel: 1 }, 1);
  const layers = [
    new Branches([pointwise, ...atrous, new PooledBranch(1, pooled, true)]),
    sequentialUnit(aspp.at('project'), { inputs: 5 * channels, outputs: channels, kernel: 1 }),
    new Dropout(aspp, 0.5),
    sequentialUnit(block, { inputs: channels, outputs: channels, kernel: 3 }),
    new Dropout(block, 0.1),
  ];
  return new FeatureHead(channels, layers, new Classifier(block.at(4), channels, classes));
};
