/** Reads a file of weights, and identifies files of other kinds. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { isTorchFile } from '../../../src/wire/torch/torchCheckpoint.js';
import { readInput } from '../inputFile.js';

/** Where the header of safetensors begins. */
const JSON_START = 8;

/** Protocol buffers have no magic number, so the name tells. */
export function isOnnxName(path: string): boolean {
  return /\.onnx$/i.test(path);
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * Throws CheckpointError, without the file's name, if it can't be read, is empty, a folder, an ONNX
 * file or of another kind.
 */
export async function readWeightsFile(path: string): Promise<Uint8Array> {
  if (isFolder(path)) {
    throw new CheckpointError(
      existsSync(join(path, 'saved_model.pb'))
        ? "a SavedModel's folder, wanted a file of weights; cirkd teacher --saved-model serves it"
        : 'a folder, wanted a file of weights',
    );
  }
  const bytes = await readInput(path);
  if (bytes.length === 0) throw new CheckpointError('an empty file, wanted one of weights');
  if (isOnnxName(path)) {
    throw new CheckpointError(
      'an ONNX file, wanted one of weights; cirkd teacher --onnx serves it as it is',
    );
  }
  const isSafetensors = bytes.length <= JSON_START || bytes[JSON_START] === 0x7b; // {
  if (!isSafetensors && !isTorchFile(bytes)) {
    throw new CheckpointError('neither a PyTorch file nor safetensors');
  }
  return bytes;
}
