/**
 * ResNet, dilated to stride 8.
 * Source: He et al., "Deep residual learning" (CVPR 2016); dilations as in CIRKD's code, torchvision and
 * mmsegmentation, which differ only in basic blocks.
 */
import { scope, type Var } from '../../tensor/index.js';
import type { Backbone } from './backbone.js';
import { basicBlock } from './basicBlock.js';
import { bottleneck } from './bottleneck.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { type Layer, sequence } from '../layers.js';
import { resnetStem, type StemName } from './resnetStem.js';
import type { ChannelScale } from '../spec.js';

/** `counts`: blocks per layer; `expansion`: output channels divided by planes. */
export const RESNETS = {
  resnet18: { block: basicBlock, expansion: 1, counts: [2, 2, 2, 2] },
  resnet34: { block: basicBlock, expansion: 1, counts: [3, 4, 6, 3] },
  resnet50: { block: bottleneck, expansion: 4, counts: [3, 4, 6, 3] },
  resnet101: { block: bottleneck, expansion: 4, counts: [3, 4, 23, 3] },
} as const;

export type ResnetName = keyof typeof RESNETS;

/** Per layer; firstDilation is that of the (first) 3x3 convolution of the layer's first block. */
const LAYERS = [
  { planes: 64, stride: 1, dilation: 1, firstDilation: 1 },
  { planes: 128, stride: 2, dilation: 1, firstDilation: 1 },
  { planes: 256, stride: 1, dilation: 2, firstDilation: 1 },
  { planes: 512, stride: 1, dilation: 4, firstDilation: 2 },
] as const;

/** The layer whose output feeds the auxiliary head. */
const AUX_LAYER = 2;

export class Resnet implements Backbone {
  readonly channels: number;
  readonly auxChannels: number;
  readonly #stem: readonly Layer[];
  readonly #layers: readonly (readonly Layer[])[];

  constructor(at: Builder, name: ResnetName, stemName: StemName, scale: ChannelScale) {
    const { block, expansion, counts } = RESNETS[name];
    const stem = resnetStem(at, stemName, scale);
    const official = LAYERS.map(({ planes }) => planes * expansion);
    let inputs = stem.channels;
    this.#stem = stem.layers;
    this.#layers = LAYERS.map(({ planes, stride, dilation, firstDilation }, layer) => {
      const outputs = scale(official[layer]!);
      // Decided by the official counts: rounding must not change the network's structure.
      const before = layer === 0 ? stem.officialChannels : official[layer - 1]!;
      const changesShape = stride !== 1 || before !== official[layer];
      return Array.from({ length: counts[layer]! }, (_, index) => {
        const first = index === 0;
        const made = block(at.at(`layer${layer + 1}`).at(index), {
          inputs,
          planes: scale(planes),
          outputs,
          stride: first ? stride : 1,
          // mmsegmentation dilates only the first convolution of a basic block.
          dilations: [first ? firstDilation : dilation, stemName === 'v1c' ? 1 : dilation],
          projection: first && changesShape,
        });
        inputs = outputs;
        return made;
      });
    });
    this.auxChannels = scale(official[AUX_LAYER]!);
    this.channels = scale(official[3]!);
  }

  forward(
    context: ForwardContext,
    image_NHWC: Var,
    wantsAux: boolean,
  ): { feature: Var; aux: Var | null } {
    return scope(() => {
      let feature = sequence(context, image_NHWC, this.#stem);
      let aux: Var | null = null;
      for (const [index, blocks] of this.#layers.entries()) {
        // The output of the third layer feeds the auxiliary head, too.
        if (index === AUX_LAYER + 1 && wantsAux) aux = feature;
        feature = sequence(context, feature, blocks, feature !== aux);
        context.observe?.(`layer${index + 1}`, feature);
      }
      return { feature, aux };
    });
  }
}
