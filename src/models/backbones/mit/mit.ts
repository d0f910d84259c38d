/**
 * Mix Transformers, the backbones of SegFormer.
 * Source: Xie et al., "SegFormer: simple and efficient design for semantic segmentation with transformers"
 * (NeurIPS 2021), section 3.1 and table 6.
 */
import { scope, type Var } from '../../../tensor/index.js';
import type { Builder } from '../../builder.js';
import type { ForwardContext } from '../../context.js';
import { type Layer, sequence } from '../../layers.js';
import { BiasedConvolution, LayerNorm } from '../../transformerLayers.js';
import { MitBlock } from './mitBlock.js';
import type { MitForm } from './mitForm.js';

export interface MitSize {
  /** Of the four stages. */
  readonly channels: readonly number[];
  readonly blocks: readonly number[];
}

const WIDE = [64, 128, 320, 512];

export const MIT_SIZES: Readonly<Record<string, MitSize>> = {
  mit_b0: { channels: [32, 64, 160, 256], blocks: [2, 2, 2, 2] },
  mit_b1: { channels: WIDE, blocks: [2, 2, 2, 2] },
  mit_b2: { channels: WIDE, blocks: [3, 4, 6, 3] },
  mit_b3: { channels: WIDE, blocks: [3, 4, 18, 3] },
  mit_b4: { channels: WIDE, blocks: [3, 8, 27, 3] },
  mit_b5: { channels: WIDE, blocks: [3, 6, 40, 3] },
};

const STAGES = [
  { kernel: 7, stride: 4, heads: 1, reduction: 8 },
  { kernel: 3, stride: 2, heads: 2, reduction: 4 },
  { kernel: 3, stride: 2, heads: 5, reduction: 2 },
  { kernel: 3, stride: 2, heads: 8, reduction: 1 },
] as const;

/** Of the last block; that of the others grows linearly from 0. */
const LAST_DROP_PATH = 0.1;

/** Input pixels per position of the first stage's map. */
export const MIT_STRIDE = 4;

/** The first stage's keys are squares of 8 positions, which need a map of 8: ceil(29 / 4). */
export const MIT_SMALLEST_SIDE = 29;

interface Stage {
  readonly layers: readonly Layer[];
  readonly norm: Layer;
}

export class Mit {
  /** Of the four maps. */
  readonly channels: readonly number[];
  readonly #stages: readonly Stage[];

  constructor(at: Builder, form: MitForm, { channels, blocks }: MitSize) {
    const embedding = (stage: number) => patchEmbedding(at, form, channels, stage);
    const norm = (stage: number) =>
      new LayerNorm(at.at(form.norm(stage)), channels[stage]!, form.epsilon.outer);
    const { embeddingsFirst, normsLast } = form.order;
    const first = embeddingsFirst ? STAGES.map((_, stage) => embedding(stage)) : null;
    const dropPath = dropPaths(blocks);
    const stages = STAGES.map(({ heads, reduction }, stage) => {
      const embedded = first?.[stage] ?? embedding(stage);
      const sized = { channels: channels[stage]!, heads, reduction };
      const made = Array.from({ length: blocks[stage]! }, (_, index) => {
        const options = { ...sized, dropPath: dropPath[stage]![index]! };
        return new MitBlock(at.at(form.block(stage, index)), form, options);
      });
      return { layers: [...embedded, ...made], norm: normsLast ? null : norm(stage) };
    });
    this.channels = channels;
    this.#stages = stages.map(({ layers, norm: own }, stage) => ({
      layers,
      norm: own ?? norm(stage),
    }));
  }

  /**
   * The stages' maps, at strides 4, 8, 16 and 32 (sizes rounded up). Throws an Error on an image with a side
   * of fewer than 29 pixels.
   */
  forward(context: ForwardContext, image_NHWC: Var): Var[] {
    const [, height = 0, width = 0] = image_NHWC.shape;
    if (Math.min(height, width) < MIT_SMALLEST_SIDE) {
      throw new Error(
        `image size: ${height} x ${width} given, SegFormer wants ${MIT_SMALLEST_SIDE} x ${MIT_SMALLEST_SIDE} or more`,
      );
    }
    return scope(() => {
      const maps: Var[] = [];
      for (const [stage, { layers, norm }] of this.#stages.entries()) {
        const map = sequence(context, maps.at(-1) ?? image_NHWC, [...layers, norm]);
        context.observe?.(`stage${stage + 1}`, map);
        maps.push(map);
      }
      return maps;
    });
  }
}

/** "Overlapped patch merging" of the paper: a strided convolution and a norm. */
function patchEmbedding(
  at: Builder,
  form: MitForm,
  channels: readonly number[],
  stage: number,
): Layer[] {
  const own = at.at(form.embedding(stage));
  const { convolution, norm } = form.embeddingNames;
  const { kernel, stride } = STAGES[stage]!;
  const outputs = channels[stage]!;
  const inputs = stage === 0 ? 3 : channels[stage - 1]!;
  const padding = (kernel - 1) / 2;
  return [
    new BiasedConvolution(own.at(convolution), { inputs, outputs, kernel, stride, padding }),
    new LayerNorm(own.at(norm), outputs, form.epsilon.inner),
  ];
}

function dropPaths(blocks: readonly number[]): number[][] {
  const last = blocks.reduce((sum, count) => sum + count, 0) - 1;
  let before = 0;
  return blocks.map((count) => {
    const rates = Array.from({ length: count }, (_, i) => ((before + i) / last) * LAST_DROP_PATH);
    before += count;
    return rates;
  });
}
