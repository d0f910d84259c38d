/**
 * PSP head: pyramid pooling, then a 3x3 convolution.
 * Source: Zhao et al., "Pyramid scene parsing network" (CVPR 2017); names as in CIRKD's code.
 */
import type { Builder } from '../builder.js';
import { Classifier, Dropout } from '../layers.js';
import { Branches, identity, PooledBranch, sequentialUnit } from './branches.js';
import { FeatureHead } from './featureHead.js';
import type { Head, HeadOptions } from './head.js';

const PYRAMID_SIZES = [1, 2, 3, 6];

export interface PspHeadOptions extends HeadOptions {
  /** Channels of each of the four levels; officially a quarter of the inputs. */
  readonly levelChannels: number;
}

export function pspHead(at: Builder, options: PspHeadOptions): Head {
  const { inputs, levelChannels, channels, classes, alignCorners } = options;
  const levels = PYRAMID_SIZES.map((size, index) => {
    const level = at.at('psp').at(`conv${index + 1}`);
    const unit = sequentialUnit(level, { inputs, outputs: levelChannels, kernel: 1 });
    return new PooledBranch(size, unit, alignCorners);
  });
  const joined = inputs + levels.length * levelChannels;
  const block = at.at('block');
  const layers = [
    new Branches([identity, ...levels]),
    sequentialUnit(block, { inputs: joined, outputs: channels, kernel: 3 }),
    new Dropout(block, 0.1),
  ];
  return new FeatureHead(channels, layers, new Classifier(at.at('classifier'), channels, classes));
}
