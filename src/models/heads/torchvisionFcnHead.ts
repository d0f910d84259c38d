/**
 * torchvision's FCN head, also its auxiliary classifier: a 3x3 convolution.
 * Source: Long et al., "Fully convolutional networks" (CVPR 2015); names and dropout as in torchvision.
 */
import { Classifier, Dropout } from '../layers.js';
import { sequentialUnit } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

export const torchvisionFcnHead: MakeHead = (at, { inputs, channels, classes }) => {
  const layers = [
    sequentialUnit(at, { inputs, outputs: channels, kernel: 3 }),
    new Dropout(at, 0.1),
  ];
  return new FeatureHead(channels, layers, new Classifier(at.at(4), channels, classes));
};
