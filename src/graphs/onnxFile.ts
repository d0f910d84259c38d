/** Reads, checks and hashes an ONNX file and the external files with its weights, without running it. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { CheckpointError } from '../wire/checkpointError.js';
import { printable, withoutControls } from '../wire/printable.js';
import { hashFiles } from './fileHash.js';
import type { GraphTensor } from './graph.js';
import {
  decodeModel,
  dtypeName,
  type GraphProto,
  type ModelProto,
  storedTensors,
  type TensorProto,
  tensorsOfNodes,
  type ValueInfoProto,
} from './onnxProto.js';

export interface OnnxFile {
  /** One entry per domain: "ai.onnx 17". */
  readonly opsets: readonly string[];
  /** "pytorch 2.15.0"; '' if the file doesn't say. */
  readonly producer: string;
  /** Without inputs that have a value in the file. */
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
  /** Paths relative to the file's folder, sorted. */
  readonly externalFiles: readonly string[];
  /** "sha256:<hex>" over the file and the names, sizes and bytes of the external files. */
  readonly hash: string;
}

const EXTERNAL = 1;

/**
 * Throws CheckpointError, without the file's name, on a file that is missing, truncated or not ONNX, and on
 * external data that are missing, too short or named outside the file's folder. Links in the folder are
 * followed, as model caches keep the data elsewhere.
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const bytes = await readWhole(path);
  const model = decode(bytes);
  const graph = model.graph!;
  const folder = dirname(path);
  const needed = externalNeeds(model, graph);
  for (const [name, wanted] of needed) await checkExternal(folder, name, wanted);
  const externalFiles = [...needed.keys()].sort();
  const stored = new Set(graph.initializer.map(({ name }) => name));
  return {
    opsets: model.opsetImport.map(({ domain, version }) => `${domain || 'ai.onnx'} ${version}`),
    producer: withoutControls(`${model.producerName} ${model.producerVersion}`.trim()),
    inputs: graph.input.filter(({ name }) => !stored.has(name)).map(tensorOf),
    outputs: graph.output.map(tensorOf),
    externalFiles,
    hash: await hashOf(bytes, folder, externalFiles),
  };
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CheckpointError(code === 'ENOENT' ? 'no such file' : message, { cause: error });
  }
}

/** Protocol buffers have no magic number, so the fields that every model has identify one. */
function decode(bytes: Uint8Array): ModelProto {
  let model: ModelProto;
  try {
    model = decodeModel(bytes);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const why = withoutControls((error as Error).message);
    throw notOnnx(bytes, why, error);
  }
  const lacks = [
    ...(model.irVersion > 0 ? [] : ['ir_version']),
    ...(model.graph !== null && model.graph.output.length > 0 ? [] : ['graph with outputs']),
    ...(model.opsetImport.length > 0 ? [] : ['opset_import']),
  ];
  if (lacks.length > 0) throw notOnnx(bytes, `it has no ${lacks.join(', no ')}`);
  return model;
}

function notOnnx(bytes: Uint8Array, why: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${bytes.length} bytes that aren't an ONNX model (${why}): truncated, or another file`,
    { cause },
  );
}

/** Minimum size in bytes of each external file, by name. */
function externalNeeds(model: ModelProto, graph: GraphProto): Map<string, number> {
  const needed = new Map<string, number>();
  const nodes = model.functions.flatMap(({ node }) => node);
  for (const tensor of [...storedTensors(graph), ...tensorsOfNodes(nodes)]) {
    if (tensor.dataLocation !== EXTERNAL) continue;
    const { location, end } = externalPlace(tensor);
    needed.set(location, Math.max(end, needed.get(location) ?? 0));
  }
  return needed;
}

/** Reads the specification's keys location, offset and length; ignores checksum. */
function externalPlace(tensor: TensorProto): { location: string; end: number } {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = posix.normalize((entries.get('location') ?? '').replaceAll('\\', '/'));
  if (location === '.' || /^(\.\.(\/|$)|\/|[A-Za-z]:)/.test(location) || location.includes('\0')) {
    throw new CheckpointError(
      `tensor '${printable(tensor.name)}': external data at '${printable(entries.get('location') ?? '')}', wanted a file in the model's own folder`,
    );
  }
  const numbers = ['offset', 'length'].map((key) => Number(entries.get(key) ?? 0));
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) {
    throw new CheckpointError(
      `tensor '${printable(tensor.name)}': external data at offset ${printable(entries.get('offset') ?? '')} with length ${printable(entries.get('length') ?? '')}, wanted whole numbers`,
    );
  }
  return { location, end: numbers[0]! + numbers[1]! };
}

async function checkExternal(folder: string, name: string, wanted: number): Promise<void> {
  const what = `external data '${printable(name)}'`;
  const entry = await stat(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'no such file next to the model' : error.message;
    throw new CheckpointError(`${what}: ${why}`, { cause: error });
  });
  if (!entry.isFile()) throw new CheckpointError(`${what}: no file`);
  if (entry.size < wanted) {
    throw new CheckpointError(`${what}: ${entry.size} bytes given, the model wants ${wanted}`);
  }
}

async function hashOf(bytes: Uint8Array, folder: string, files: readonly string[]) {
  const hash = createHash('sha256').update(bytes);
  await hashFiles(hash, folder, files);
  return `sha256:${hash.digest('hex')}`;
}

function tensorOf({ name, type }: ValueInfoProto): GraphTensor {
  const tensor = type?.tensorType;
  if (!tensor) return { name, dtype: 'no tensor', shape: undefined };
  // Some exporters write 0 or less for an unknown size.
  const shape = tensor.shape?.dim.map(({ dimValue }) =>
    dimValue !== undefined && dimValue > 0 ? dimValue : null,
  );
  return { name, dtype: dtypeName(tensor.elemType), shape };
}
