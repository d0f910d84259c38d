/** The table of backbones with one map at stride 8, by name. */
import type { Builder } from '../builder.js';
import type { ChannelScale } from '../spec.js';
import type { Backbone } from './backbone.js';
import { MobilenetV2 } from './mobilenetV2.js';
import { RESNETS, Resnet, type ResnetName } from './resnet.js';
import { backboneName, type StemName } from './resnetStem.js';

export interface BackboneEntry {
  /** Official channels of the last map and of the map before the last layer. */
  readonly officialChannels: number;
  readonly officialAuxChannels: number | null;
  /** null: no ResNet. */
  readonly stem: StemName | null;
  build(at: Builder, scale: ChannelScale): Backbone;
}

/** By name; Mix Transformers are in mit/mit.ts. */
export const BACKBONES: Readonly<Record<string, BackboneEntry>> = {
  ...resnets('deep'),
  ...resnets('plain'),
  ...resnets('v1c'),
  mobilenetv2: {
    officialChannels: 320,
    officialAuxChannels: null,
    stem: null,
    build: (at, scale) => new MobilenetV2(at, scale),
  },
};

/** resnet18, 34, 50 and 101 with this stem, under names that include it. */
function resnets(stem: StemName): Record<string, BackboneEntry> {
  const entries = Object.entries(RESNETS).map(([name, { expansion }]) => [
    backboneName(name, stem),
    {
      officialChannels: 512 * expansion,
      officialAuxChannels: 256 * expansion,
      stem,
      build: (at: Builder, scale: ChannelScale) => new Resnet(at, name as ResnetName, stem, scale),
    },
  ]);
  return Object.fromEntries(entries);
}
