/**
 * torchvision's DeepLabV3 head: atrous spatial pyramid pooling, then a 3x3 convolution without dropout.
 * Source: Chen et al., "Rethinking atrous convolution" (2017); names, dilations and dropout as in
 * torchvision's deeplabv3_resnet50 and 101.
 */
import { Classifier, Dropout } from '../layers.js';
import { Branches, PooledBranch, sequentialUnit } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

const DILATIONS = [12, 24, 36];

export const torchvisionDeeplabHead: MakeHead = (at, { inputs, channels, classes }) => {
  const aspp = at.at(0);
  const convs = aspp.at('convs');
  const toChannels = { inputs, outputs: channels };
  const pointwise = sequentialUnit(convs.at(0), { ...toChannels, kernel: 1 });
  const atrous = DILATIONS.map((dilation, index) =>
    sequentialUnit(convs.at(index + 1), { ...toChannels, kernel: 3, dilation }),
  );
  const pooled = sequentialUnit(convs.at(4), { ...toChannels, kernel: 1 }, 1);
  const layers = [
    new Branches([pointwise, ...atrous, new PooledBranch(1, pooled, false)]),
    sequentialUnit(aspp.at('project'), { inputs: 5 * channels, outputs: channels, kernel: 1 }),
    new Dropout(aspp, 0.5),
    sequentialUnit(at, { inputs: channels, outputs: channels, kernel: 3 }, 1),
  ];
  return new FeatureHead(channels, layers, new Classifier(at.at(4), channels, classes));
};
