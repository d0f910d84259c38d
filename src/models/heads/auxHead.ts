/** Auxiliary head of CIRKD's ResNet models: a 3x3 convolution on the map before the last layer. */
import { Classifier, Dropout } from '../layers.js';
import { sequentialUnit } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

export const auxHead: MakeHead = (at, { inputs, channels, classes }) => {
  const block = at.at('block');
  const layers = [
    sequentialUnit(block, { inputs, outputs: channels, kernel: 3 }),
    new Dropout(block, 0.1),
  ];
  return new FeatureHead(channels, layers, new Classifier(block.at(4), channels, classes));
};
