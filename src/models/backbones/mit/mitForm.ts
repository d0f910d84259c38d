/**
 * The three forms in which Mix Transformers are published: names, packing and order of their weights, and
 * the epsilons of their norms. The computation is the same.
 * Sources: NVlabs/SegFormer's and CIRKD's models/segformer.py; transformers' modeling_segformer.py;
 * mmsegmentation's backbones/mit.py.
 */

/** Names of backbone and head in CIRKD's SegFormer, where no prefix tells them apart. */
export const CIRKD_BACKBONE_NAME = /^(patch_embed|block|norm)[1-4]\./;
export const CIRKD_HEAD_NAME = /^linear_(c[1-4]|fuse|pred)\./;

/** Paths of modules, relative to a block. */
interface BlockNames {
  readonly norm1: string;
  readonly reduction: string;
  readonly reductionNorm: string;
  readonly output: string;
  readonly norm2: string;
  readonly dense1: string;
  readonly depthwise: string;
  readonly dense2: string;
}

export type ProjectionPart = 'query' | 'key' | 'value';

/** A layer's weights: rows for query, key or value, or several of them one below the other. */
export interface PackedProjection {
  readonly weight: string;
  readonly bias: string;
  readonly parts: readonly ProjectionPart[];
}

export interface MitForm {
  /** Paths below the backbone's prefix; stages and blocks count from 0. */
  embedding(stage: number): string;
  block(stage: number, index: number): string;
  norm(stage: number): string;
  /** Below `embedding`. */
  readonly embeddingNames: { readonly convolution: string; readonly norm: string };
  readonly blockNames: BlockNames;
  readonly projections: readonly PackedProjection[];
  /** Order in the state dict. */
  readonly order: {
    /** All embeddings before the first block. */
    readonly embeddingsFirst: boolean;
    /** The stages' norms behind the last block. */
    readonly normsLast: boolean;
    /** The spatial reduction before the attention's output layer. */
    readonly reductionFirst: boolean;
  };
  /** Whether the feed-forward's dense layers are stored as 1x1 convolutions. */
  readonly denseAsConvolution: boolean;
  /** `inner`: of embeddings and spatial reductions; `outer`: of blocks and stages. */
  readonly epsilon: { readonly inner: number; readonly outer: number };
}

const NVIDIA: MitForm = {
  embedding: (stage) => `patch_embed${stage + 1}`,
  block: (stage, index) => `block${stage + 1}.${index}`,
  norm: (stage) => `norm${stage + 1}`,
  embeddingNames: { convolution: 'proj', norm: 'norm' },
  blockNames: {
    ...{ norm1: 'norm1', reduction: 'attn.sr', reductionNorm: 'attn.norm', output: 'attn.proj' },
    ...{ norm2: 'norm2', dense1: 'mlp.fc1', depthwise: 'mlp.dwconv.dwconv', dense2: 'mlp.fc2' },
  },
  projections: [
    { weight: 'attn.q.weight', bias: 'attn.q.bias', parts: ['query'] },
    { weight: 'attn.kv.weight', bias: 'attn.kv.bias', parts: ['key', 'value'] },
  ],
  order: { embeddingsFirst: true, normsLast: false, reductionFirst: false },
  denseAsConvolution: false,
  epsilon: { inner: 1e-5, outer: 1e-6 },
};

const HUGGING_FACE: MitForm = {
  embedding: (stage) => `patch_embeddings.${stage}`,
  block: (stage, index) => `block.${stage}.${index}`,
  norm: (stage) => `layer_norm.${stage}`,
  embeddingNames: { convolution: 'proj', norm: 'layer_norm' },
  blockNames: {
    norm1: 'layer_norm_1',
    reduction: 'attention.self.sr',
    reductionNorm: 'attention.self.layer_norm',
    output: 'attention.output.dense',
    norm2: 'layer_norm_2',
    ...{ dense1: 'mlp.dense1', depthwise: 'mlp.dwconv.dwconv', dense2: 'mlp.dense2' },
  },
  projections: (['query', 'key', 'value'] as const).map((part) => ({
    weight: `attention.self.${part}.weight`,
    bias: `attention.self.${part}.bias`,
    parts: [part],
  })),
  order: { embeddingsFirst: true, normsLast: true, reductionFirst: true },
  denseAsConvolution: false,
  epsilon: { inner: 1e-5, outer: 1e-5 },
};

const MMSEGMENTATION: MitForm = {
  embedding: (stage) => `layers.${stage}.0`,
  block: (stage, index) => `layers.${stage}.1.${index}`,
  norm: (stage) => `layers.${stage}.2`,
  embeddingNames: { convolution: 'projection', norm: 'norm' },
  blockNames: {
    norm1: 'norm1',
    ...{ reduction: 'attn.sr', reductionNorm: 'attn.norm', output: 'attn.attn.out_proj' },
    norm2: 'norm2',
    ...{ dense1: 'ffn.layers.0', depthwise: 'ffn.layers.1', dense2: 'ffn.layers.4' },
  },
  projections: [
    {
      weight: 'attn.attn.in_proj_weight',
      bias: 'attn.attn.in_proj_bias',
      parts: ['query', 'key', 'value'],
    },
  ],
  order: { embeddingsFirst: false, normsLast: false, reductionFirst: false },
  denseAsConvolution: true,
  epsilon: { inner: 1e-6, outer: 1e-6 },
};

export const MIT_FORMS = {
  nvidia: NVIDIA,
  hugging_face: HUGGING_FACE,
  mmsegmentation: MMSEGMENTATION,
} as const;

export type MitFormName = keyof typeof MIT_FORMS;
