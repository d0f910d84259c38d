/** Wraps a network of the zoo as a Segmenter. */
import type { Products } from '../contract/products.js';
import { inferenceContext } from '../models/context.js';
import { type ModelDescription, readModelFile } from '../models/files/modelFile.js';
import { SegmentationNetwork } from '../models/network.js';
import { normalise, type PixelNormalisation } from '../models/normalise.js';
import { checkProducts } from '../models/teacher/checkProducts.js';
import { scope } from '../tensor/index.js';
import type { Segmenter } from './predict.js';

export function networkSegmenter(
  network: SegmentationNetwork,
  normalisation: PixelNormalisation,
  products: Products = 'float32',
): Segmenter {
  return {
    classes: network.spec.numClasses,
    alignCorners: network.alignCorners,
    logits: (images) =>
      scope(() => {
        const context = inferenceContext(products);
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

/** Throws CheckpointError on a file that holds no usable network, or one without such products. */
export function loadSegmenter(bytes: Uint8Array, products: Products = 'float32'): LoadedSegmenter {
  const { description, tensors } = readModelFile(bytes);
  checkProducts(description.spec, products);
  const network = SegmentationNetwork.load(description.spec, tensors);
  return {
    ...networkSegmenter(network, description.normalisation, products),
    description,
    dispose: () => network.dispose(),
  };
}
