/**
 * SegFormer's all-MLP head: each map to the same channels, resized to the first map's size, joined, fused,
 * classified. pyramidFusion.ts has the order in which it is computed.
 * Source: Xie et al., "SegFormer" (NeurIPS 2021), section 3.2. The forms differ in names and in details: in
 * CIRKD's code the fusing convolution has a bias, and nothing is dropped; mmsegmentation's first layers are
 * convolutions with batch norm and ReLU, and it joins the maps in the order of the stages, not the reverse.
 */
import { scope, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { BatchNorm, Classifier, Dropout, type Layer, sequence } from '../layers.js';
import { Linear } from '../transformerLayers.js';
import { convModule } from './branches.js';
import { PyramidFusion } from './pyramidFusion.js';

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
  readonly fusion: PyramidFusion;
  /** Between the fusing convolution and the feature. */
  readonly after: readonly Layer[];
  readonly classifier: Classifier;
}

export class PyramidHead {
  /** Of the feature. */
  readonly channels: number;
  readonly classifier: Classifier;
  readonly #parts: Parts;

  constructor(channels: number, parts: Parts) {
    this.channels = channels;
    this.classifier = parts.classifier;
    this.#parts = parts;
  }

  /** maps: [N, h, w, ...], the largest first -> logits [N, h, w, K], feature [N, h, w, channels]. */
  forward(context: ForwardContext, maps: readonly Var[]): { logits: Var; feature: Var } {
    const { fusion, after } = this.#parts;
    return scope(() => {
      const fused = fusion.forward(context, maps);
      const feature = sequence(context, fused, after);
      fused.value.dispose();
      return { logits: this.classifier.forward(context, feature), feature };
    });
  }
}

/** Numbers of the maps, the smallest map's first. */
const REVERSED = [3, 2, 1, 0];

/** CIRKD's code (models/segformer.py). */
export const cirkdSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes, alignCorners } = options;
  const embeddings: Layer[] = [];
  for (const stage of REVERSED) {
    embeddings[stage] = new Linear(at.at(`linear_c${stage + 1}.proj`), inputs[stage]!, channels);
  }
  const fusion = new PyramidFusion(at.at('linear_fuse.0'), embeddings, {
    ...{ channels, hasBias: true, joined: REVERSED, alignCorners },
  });
  const after = [new BatchNorm(at.at('linear_fuse.1'), channels, 'relu')];
  const classifier = new Classifier(at.at('linear_pred'), channels, classes);
  return new PyramidHead(channels, { fusion, after, classifier });
};

/** transformers (SegformerDecodeHead). */
export const huggingFaceSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes, alignCorners } = options;
  const embeddings = inputs.map(
    (own, stage) => new Linear(at.at(`linear_c.${stage}.proj`), own, channels),
  );
  const fusion = new PyramidFusion(at.at('linear_fuse'), embeddings, {
    ...{ channels, hasBias: false, joined: REVERSED, alignCorners },
  });
  const after = [new BatchNorm(at.at('batch_norm'), channels, 'relu'), new Dropout(at, 0.1)];
  const classifier = new Classifier(at.at('classifier'), channels, classes);
  return new PyramidHead(channels, { fusion, after, classifier });
};

/** mmsegmentation (SegformerHead). */
export const mmsegSegformerHead: MakePyramidHead = (at, options) => {
  const { inputs, channels, classes, alignCorners } = options;
  const classifier = new Classifier(at.at('conv_seg'), channels, classes);
  const embeddings = inputs.map((own, stage) =>
    convModule(at.at(`convs.${stage}`), { inputs: own, outputs: channels, kernel: 1 }),
  );
  const fusion = new PyramidFusion(at.at('fusion_conv.conv'), embeddings, {
    ...{ channels, hasBias: false, joined: [0, 1, 2, 3], alignCorners },
  });
  const after = [
    new BatchNorm(at.at('fusion_conv.bn'), channels, 'relu'),
    new Dropout(at, 0.1, 'channel'),
  ];
  return new PyramidHead(channels, { fusion, after, classifier });
};
