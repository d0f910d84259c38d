/** Runs SavedModels with TensorFlow's own loader and runtime in this process. */
import { engineInfo, ops, SavedModelSession, scope, type Tensor } from '../tensor/index.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { printable, withoutControls } from '../wire/printable.js';
import type { Graph, GraphTensor } from './graph.js';
import { tryInChildProcess } from './savedModelChildProcess.js';
import { checkVariables, hashSavedModel, readMetaGraph, SERVE } from './savedModelFiles.js';
import type { MetaGraphDef } from './savedModelProto.js';
import {
  checkOutputDType,
  type InputDType,
  readSignature,
  type Signature,
} from './savedModelSignature.js';

/**
 * Opens a folder written by `tf.saved_model.save` or Keras' `export`: the graph with the tag "serve" and its
 * signature "serving_default", or its only one. A SavedModel is a program that runs with the rights of this
 * process: open only those that you trust.
 *
 * @param trial first try it in a child process, because TensorFlow aborts the process on some damaged graphs
 * @throws CheckpointError naming the folder if a file is missing, truncated or damaged, no signature takes
 *   one image, a dtype can't be fed, or this TensorFlow doesn't know an op
 */
export async function openSavedModel(
  directory: string,
  { trial = true }: { readonly trial?: boolean } = {},
): Promise<Graph> {
  try {
    const graph = await readMetaGraph(directory);
    const signature = readSignature(graph);
    await checkVariables(directory, graph);
    const hash = await hashSavedModel(directory);
    if (trial) await tryInChildProcess(directory);
    return new SavedModelGraph(load(directory, graph), signature, hash);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`SavedModel ${directory}: ${error.message}`, { cause: error });
  }
}

function load(directory: string, { metaInfoDef }: MetaGraphDef): SavedModelSession {
  try {
    return SavedModelSession.load(directory, [SERVE]);
  } catch (error) {
    const why = withoutControls((error as Error).message);
    const made = printable(metaInfoDef?.tensorflowVersion || 'an unknown version');
    const { tensorflow } = engineInfo();
    throw new CheckpointError(`${why} (saved by TensorFlow ${made}, this is ${tensorflow})`, {
      cause: error,
    });
  }
}

class SavedModelGraph implements Graph {
  readonly format = 'saved_model';
  readonly runtime: string;
  readonly hash: string;
  readonly #session: SavedModelSession;
  readonly #signature: Signature;

  constructor(session: SavedModelSession, signature: Signature, hash: string) {
    const { tensorflow, device } = engineInfo();
    this.runtime = `tensorflow ${tensorflow} ${device}`;
    this.hash = hash;
    this.#session = session;
    this.#signature = signature;
  }

  get inputs(): readonly GraphTensor[] {
    return [this.#signature.input];
  }

  get outputs(): readonly GraphTensor[] {
    return this.#signature.outputs;
  }

  /** Blocks the calling thread while TensorFlow computes. */
  async run(image: Tensor, outputs: readonly string[]): Promise<Tensor[]> {
    const fetches = outputs.map((name) => this.#fetch(name));
    const { input } = this.#signature;
    return scope(() => {
      const feed = { name: input.tensorName, tensor: toInput(image, input.dtype) };
      return this.#session.run([feed], fetches).map(toFloat32);
    });
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  #fetch(name: string): string {
    const found = this.#signature.outputs.find((output) => output.name === name);
    if (found === undefined) {
      const given = this.outputs.map((output) => printable(output.name)).join(', ');
      throw new CheckpointError(
        `output '${printable(name)}': not of the graph, which has ${given}`,
      );
    }
    checkOutputDType(found);
    return found.tensorName;
  }
}

/** Rounds for uint8: a cast alone would truncate 254.9999. */
function toInput(image: Tensor, dtype: InputDType): Tensor {
  if (dtype === 'float32') return image;
  return ops.cast(dtype === 'uint8' ? ops.round(image) : image, dtype);
}

function toFloat32(output: Tensor): Tensor {
  return output.dtype === 'float32' ? output : ops.cast(output, 'float32');
}
