/** Exports a model file's weights to PyTorch. */
import { CheckpointError } from '../../wire/checkpointError.js';
import { printable } from '../../wire/printable.js';
import { writeTorchCheckpoint } from '../../wire/torch/torchWriter.js';
import { ZipTooLargeError } from '../../wire/torch/zip/writer.js';
import { readModelFile } from './modelFile.js';
import { SegmentationNetwork } from '../network.js';
import { normalisationText } from '../normalise.js';
import { specName } from '../spec.js';

export interface ExportedModel {
  /** A .pth file: weights in F32, counts in I64, in state-dict order. */
  readonly bytes: Uint8Array;
  /** Lines for the user about what the .pth file doesn't record. */
  readonly lines: readonly string[];
}

/** Throws CheckpointError on a file that holds no usable network. */
export function exportModel(file: Uint8Array): ExportedModel {
  const { description, tensors } = readModelFile(file);
  const { spec, normalisation, classNames } = description;
  const network = SegmentationNetwork.load(spec, tensors);
  try {
    return {
      bytes: writeTorchCheckpoint(network.stateDict()),
      lines: [
        `${specName(spec)}, ${spec.numClasses} classes: ${classNames.map(printable).join(', ')}`,
        `pixels: ${normalisationText(normalisation)}`,
      ],
    };
  } catch (error) {
    if (error instanceof ZipTooLargeError) throw new CheckpointError(error.message);
    throw error;
  } finally {
    network.dispose();
  }
}
