/**
 * mmsegmentation's FCN head with one convolution, which its configs use as the auxiliary head.
 * Source: Long et al., "Fully convolutional networks" (CVPR 2015); names and dropout as in mmsegmentation's
 * deeplabv3_r*-d8 and pspnet_r*-d8 configs.
 */
import { Classifier, Dropout } from '../layers.js';
import { convModule } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { MakeHead } from './head.js';

export const mmsegFcnHead: MakeHead = (at, { inputs, channels, classes }) => {
  const classifier = new Classifier(at.at('conv_seg'), channels, classes);
  const layers = [
    convModule(at.at('convs').at(0), { inputs, outputs: channels, kernel: 3 }),
    new Dropout(at, 0.1, 'channel'),
  ];
  return new FeatureHead(channels, layers, classifier);
};
