/** The table of SegFormers: whose code each follows, and how they are built. */
import { CIRKD_HEAD_NAME, MIT_FORMS, type MitFormName } from './backbones/mit/mitForm.js';
import { MIT_SIZES, MIT_STRIDE, Mit } from './backbones/mit/mit.js';
import type { Builder } from './builder.js';
import {
  cirkdSegformerHead,
  huggingFaceSegformerHead,
  type MakePyramidHead,
  mmsegSegformerHead,
} from './heads/segformerHead.js';
import { type NetworkParts, pyramidNetwork } from './networkParts.js';
import {
  OFFICIAL_NORMALISATION,
  type PixelNormalisation,
  TORCHVISION_NORMALISATION,
} from './normalise.js';
import type { ModelName, NetworkSpec } from './spec.js';

export type SegformerName = Extract<ModelName, `${string}segformer`>;

interface SegformerModel {
  readonly form: MitFormName;
  readonly makeHead: MakePyramidHead;
  /** Prefixes of the names of backbone and head; '': none. */
  readonly names: { readonly backbone: string; readonly head: string };
  /** Of logits to the image's size; within the head all resize without unless a spec sets it. */
  readonly alignCorners: boolean;
  /** Channels of the feature on mit_b0 and mit_b1, and on the larger ones. */
  readonly channels: readonly [small: number, large: number];
  /** Pixel normalisation with which their published weights were trained. */
  readonly normalisation: PixelNormalisation;
}

export const SEGFORMERS: Readonly<Record<SegformerName, SegformerModel>> = {
  segformer: {
    form: 'nvidia',
    makeHead: cirkdSegformerHead,
    names: { backbone: '', head: '' },
    alignCorners: true,
    channels: [256, 768],
    normalisation: OFFICIAL_NORMALISATION,
  },
  hf_segformer: {
    form: 'hugging_face',
    makeHead: huggingFaceSegformerHead,
    names: { backbone: 'segformer.encoder', head: 'decode_head' },
    alignCorners: false,
    channels: [256, 768],
    normalisation: TORCHVISION_NORMALISATION,
  },
  mmseg_segformer: {
    form: 'mmsegmentation',
    makeHead: mmsegSegformerHead,
    names: { backbone: 'backbone', head: 'decode_head' },
    alignCorners: false,
    channels: [256, 256],
    normalisation: TORCHVISION_NORMALISATION,
  },
};

export function isSegformer(model: string): model is SegformerName {
  return Object.hasOwn(SEGFORMERS, model);
}

/** Official channels of the feature, by backbone. */
export function segformerChannels(model: SegformerName): Readonly<Record<string, number>> {
  const [small, large] = SEGFORMERS[model].channels;
  const isSmall = (backbone: string) => backbone === 'mit_b0' || backbone === 'mit_b1';
  return Object.fromEntries(
    Object.keys(MIT_SIZES).map((backbone) => [backbone, isSmall(backbone) ? small : large]),
  );
}

/** In state-dict order. The spec has been checked. */
export function buildSegformer(
  at: Builder,
  { model, backbone, numClasses, alignCorners }: NetworkSpec & { readonly model: SegformerName },
): NetworkParts {
  const { form, makeHead, names, alignCorners: usual } = SEGFORMERS[model];
  const own = at.initialisedAs('transformer');
  const under = (prefix: string) => (prefix === '' ? own : own.at(prefix));
  const mit = new Mit(under(names.backbone), MIT_FORMS[form], MIT_SIZES[backbone]!);
  const head = makeHead(under(names.head), {
    inputs: mit.channels,
    channels: segformerChannels(model)[backbone]!,
    classes: numClasses,
    alignCorners: alignCorners ?? false,
  });
  return pyramidNetwork(mit, head, alignCorners ?? usual);
}

export { CIRKD_HEAD_NAME, MIT_STRIDE as SEGFORMER_STRIDE };
