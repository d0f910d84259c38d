/**
 * SegFormer's all-MLP head: each map to the same channels, resized to the first map's size, joined, fused,
 * classified.
 * Source: Xie et al., "SegFormer" (NeurIPS 2021), section 3.2. The forms differ in names and in details: in
 * CIRKD's code the fusing convolution has a bias, and nothing is dropped; mmsegmentation's first layers are
 * convolutions with batch norm and ReLU, and it joins the maps in the order of the stages, not the reverse.
 */
import { differentiable, scope, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import {
  BatchNorm,
  Classifier,
  ConvolutionUnit,
  Dropout,
  type Layer,
  sequence,
} from '../layers.js';
import { BiasedConvolution, Linear } from '../transformerLayers.js';
import { convModule } from './branches.js';

export interface PyramidHeadOptions {
  /** Channels of the maps, from the largest map to the smallest. */
  readonly inputs: readonly number[];
  /** Channels of the feature. */
  readonly channels: number;
  readonly classes: number;
  /** How maps are resized; see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
}

export type MakePyramidHead = (at: Builder, options: PyramidHeadOptions) => PyramidHead;

interface Parts {
  /** For each map. */
  readonly embeddings: readonly Layer[];
  /** Numbers of the maps in the order in which they are joined. */
  readonly joined: readonly number[];
  readonly fuse: readonly Layer[];
  readonly classifier: Classifier;
}

export class PyramidHead {
  /** Of the feature. */
  readonly channels: number;
  readonly classifier: Classifier;
  readonly #parts: Parts;
  readonly #alignCorners: boolean;

  constructor({ channels, alignCorners }: PyramidHeadOptions, parts: Parts) {
    this.channels = channels;
    this.classifier = parts.classifier;
    this.#parts = parts;
    this.#alignCorners = alignCorners;
  }

  /** maps: [N, h, w, ...], the largest first -> logits [N, h, w, K], feature [N, h, w, channels]. */
  forward(context: ForwardContext, maps: readonly Var[]): { logits: Var; feature: Var } {
    const { embeddings, joined, fuse } = this.#parts;
    const [, height = 0, width = 0] = maps[0]!.shape;
    const { tape } = context;
    return scope(() => {
      const feature = scope(() => {
        const resized = joined.map((stage) =>
          scope(() => {
            const map = embeddings[stage]!.forward(context, maps[stage]!);
            const size = { height, width };
            return differentiable.resizeBilinear(tape, map, size, this.#alignCorners);
          }),
        );
        const all = differentiable.concat(tape, resized, 3);
        for (const { value } of resized) value.dispose();
        return sequence(context, all, fuse);
      });
      return { logits: this.classifier.forward(context, feature), feature };
    });
  }
}

/** Numbers of the maps, the smallest map's first. */
const REVERSED = [3, 2, 1, 0];

/** CIRKD's code (models/segformer.py). */
export const cirkdSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes } = options;
  const embeddings: Layer[] = [];
  for (const stage of REVERSED) {
    embeddings[stage] = new Linear(at.at(`linear_c${stage + 1}.proj`), inputs[stage]!, channels);
  }
  const joined = inputs.length * channels;
  const fuse = [
    new BiasedConvolution(at.at('linear_fuse.0'), { inputs: joined, outputs: channels, kernel: 1 }),
    new BatchNorm(at.at('linear_fuse.1'), channels, 'relu'),
  ];
  const classifier = new Classifier(at.at('linear_pred'), channels, classes);
  return new PyramidHead(options, { embeddings, joined: REVERSED, fuse, classifier });
};

/** transformers (SegformerDecodeHead). */
export const huggingFaceSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes } = options;
  const embeddings = inputs.map(
    (own, stage) => new Linear(at.at(`linear_c.${stage}.proj`), own, channels),
  );
  const fuse = [
    new ConvolutionUnit(at.at('linear_fuse'), at.at('batch_norm'), {
      ...{ inputs: inputs.length * channels, outputs: channels, kernel: 1, activation: 'relu' },
    }),
    new Dropout(at, 0.1),
  ];
  const classifier = new Classifier(at.at('classifier'), channels, classes);
  return new PyramidHead(options, { embeddings, joined: REVERSED, fuse, classifier });
};

/** mmsegmentation (SegformerHead). */
export const mmsegSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes } = options;
  const classifier = new Classifier(at.at('conv_seg'), channels, classes);
  const embeddings = inputs.map((own, stage) =>
    convModule(at.at(`convs.${stage}`), { inputs: own, outputs: channels, kernel: 1 }),
  );
  const joined = inputs.length * channels;
  const fuse = [
    convModule(at.at('fusion_conv'), { inputs: joined, outputs: channels, kernel: 1 }),
    new Dropout(at, 0.1, 'channel'),
  ];
  return new PyramidHead(options, { embeddings, joined: [0, 1, 2, 3], fuse, classifier });
};
