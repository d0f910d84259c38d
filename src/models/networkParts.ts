/** What networks are made of: a backbone with one map and heads on it, or with four maps and one head. */
import { scope, type Var } from '../tensor/index.js';
import type { Backbone } from './backbones/backbone.js';
import { MIT_STRIDE, type Mit } from './backbones/mit/mit.js';
import type { ForwardContext } from './context.js';
import type { Head } from './heads/head.js';
import type { PyramidHead } from './heads/segformerHead.js';
import { OUTPUT_STRIDE } from '../contract/teacherInfo.js';

/** Spatial size h = ceil(H / stride), w = ceil(W / stride); channels last. */
export interface NetworkOutputs {
  /** [N, h, w, classes] */
  readonly logits: Var;
  /** [N, h, w, classes]; null if the network has no auxiliary head or it wasn't requested. */
  readonly aux: Var | null;
  /** Raw output of the head, [N, h, w, featureChannels]. */
  readonly feature: Var;
}

export interface NetworkParts {
  readonly head: Pick<Head, 'channels' | 'classifier'>;
  /** See SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  readonly outputStride: number;
  /** Whether it has an auxiliary head. */
  readonly hasAux: boolean;
  /** Intermediate tensors are freed unless the tape needs them. */
  forward(context: ForwardContext, image_NHWC: Var, wantAux: boolean): NetworkOutputs;
}

export function singleMapNetwork(
  backbone: Backbone,
  head: Head,
  aux: Head | null,
  alignCorners: boolean,
): NetworkParts {
  return {
    ...{ head, alignCorners, outputStride: OUTPUT_STRIDE, hasAux: aux !== null },
    forward: (context, image_NHWC, wantAux) =>
      scope(() => {
        const wanted = wantAux ? aux : null;
        const maps = backbone.forward(context, image_NHWC, wanted !== null);
        const auxMap = maps.aux;
        const auxLogits =
          wanted === null || auxMap === null
            ? null
            : scope(() => wanted.forward(context, auxMap).logits);
        return { ...head.forward(context, maps.feature), aux: auxLogits };
      }),
  };
}

export function pyramidNetwork(
  backbone: Mit,
  head: PyramidHead,
  alignCorners: boolean,
): NetworkParts {
  return {
    ...{ head, alignCorners, outputStride: MIT_STRIDE, hasAux: false },
    forward: (context, image_NHWC) =>
      scope(() => ({
        ...head.forward(context, backbone.forward(context, image_NHWC)),
        aux: null,
      })),
  };
}
