/** Wraps a network of the zoo as a Segmenter. */
import { inferenceContext } from '../models/context.js';
import { type ModelDescription, readModelFile } from '../models/files/modelFile.js';
import { SegmentationNetwork } from '../models/network.js';
import { normalise, type PixelNormalisation } from '../models/normalise.js';
import { scope } from '../tensor/index.js';
import type { Segmenter } from './predict.js';

export function networkSegmenter(
  network: SegmentationNetwork,
  normalisation: PixelNormalisation,
): Segmenter {
  return {
    classes: network.spec.numClasses,
    alignCorners: network.alignCorners,
    logits: (images) =>
      scope(() => {
        const context = inferenceContext();
        try {
          const image_NHWC = context.tape.constant(normalise(images, normalisation));
          return network.forward(context, image_NHWC, { aux: false }).logits.value;
        } finally {
          context.tape.dispose();
        }
      }),
  };
}

/** A segmenter loaded from a model file. */
export interface LoadedSegmenter extends Segmenter {
  readonly description: ModelDescription;
  /** Frees the weights. */
  dispose(): void;
}

/** Throws CheckpointError on a file that holds no usable network. */
export function loadSegmenter(bytes: Uint8Array): LoadedSegmenter {
  const { description, tensors } = readModelFile(bytes);
  const network = SegmentationNetwork.load(description.spec, tensors);
  return {
    ...networkSegmenter(network, description.normalisation),
    description,
    dispose: () => network.dispose(),
  };
}
