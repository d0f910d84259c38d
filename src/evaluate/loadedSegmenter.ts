/** A model file as something that predicts. */
import { type ModelDescription, readModelFile } from '../models/modelFile.js';
import { SegmentationNetwork } from '../models/network.js';
import { networkSegmenter } from './networkSegmenter.js';
import type { Segmenter } from './predict.js';

/** Owns its network. */
export interface LoadedSegmenter extends Segmenter {
  readonly description: ModelDescription;
  dispose(): void;
}

/** From the bytes of a model file. Throws CheckpointError if they hold no usable network. */
export function loadSegmenter(file: Uint8Array): LoadedSegmenter {
  const { description, tensors } = readModelFile(file);
  const network = SegmentationNetwork.load(description.spec, tensors);
  return {
    ...networkSegmenter(network, description.normalisation),
    description,
    dispose: () => network.dispose(),
  };
}
