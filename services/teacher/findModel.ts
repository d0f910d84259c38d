/** What a path that names "the model" holds: a model file, an ONNX graph or a SavedModel. */
import { existsSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../program/usageError.js';

export interface FoundModel {
  /** The config's key that takes the path. */
  readonly key: 'checkpoint' | 'graph.onnx' | 'graph.savedModel';
  readonly path: string;
}

const WANTED =
  'one .safetensors file, one .onnx file or one SavedModel (a folder with saved_model.pb)';

/**
 * The model at a path: the path itself, or the only model in the folder, as platforms put a downloaded
 * model somewhere under a name of its own. Throws UsageError, which names what was found.
 */
export function findModel(path: string): FoundModel {
  const itself = modelAt(path);
  if (itself !== null) return itself;
  if (!statusOf(path).isDirectory()) {
    throw new UsageError(`--model: ${path} given, wanted ${WANTED}, or a folder with one of them`);
  }
  const found = readdirSync(path)
    .sort()
    .map((name) => modelAt(join(path, name)))
    .filter((model) => model !== null);
  if (found.length === 1) return found[0]!;
  const there = found.length === 0 ? 'none of them' : found.map((model) => model.path).join(', ');
  throw new UsageError(`--model: ${path} contains ${there}, wanted ${WANTED}`);
}

function modelAt(path: string): FoundModel | null {
  if (statusOf(path).isDirectory()) {
    return existsSync(join(path, 'saved_model.pb')) ? { key: 'graph.savedModel', path } : null;
  }
  if (path.endsWith('.safetensors')) return { key: 'checkpoint', path };
  return /\.onnx$/i.test(path) ? { key: 'graph.onnx', path } : null;
}

function statusOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new UsageError(`--model: ${(error as Error).message}`);
  }
}
