/** Loads the network that a config names. Only called in the inference thread. */
import { basename } from 'node:path';
import type { Graph } from '../../src/graphs/graph.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { SimulatedNetwork } from './simulateEngine.js';
import type { GraphSource, Network, NetworkSource } from './workerProtocol.js';

/** Throws CheckpointError when the file is missing or holds no usable network. */
export async function loadNetwork(source: NetworkSource): Promise<Network> {
  if (source.kind === 'simulate') return new SimulatedNetwork(source);
  if (source.kind === 'graph') return loadGraph(source);
  // Imported late, as a simulated teacher needs no TensorFlow.
  const { TeacherNetwork } = await import('../../src/models/teacher/teacherNetwork.js');
  try {
    return TeacherNetwork.open(source.path, source.products);
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) {
      throw new CheckpointError(`checkpoint: ${error.message}`, { cause: error });
    }
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`checkpoint ${source.path}: ${error.message}`, { cause: error });
  }
}

/** Opens a graph and loads the library that runs it. Throws CheckpointError, or ProviderError. */
export async function openGraph(source: GraphSource): Promise<Graph> {
  const { path, provider, threads } = source;
  if (source.format === 'onnx') {
    const { openOnnxGraph } = await import('../../src/graphs/onnxGraph.js');
    return openOnnxGraph(path, { provider, threads });
  }
  const { openSavedModel } = await import('../../src/graphs/savedModel.js');
  return openSavedModel(path);
}

async function loadGraph(source: GraphSource): Promise<Network> {
  const graph = await openGraph(source);
  const { GraphTeacher } = await import('../../src/graphs/graphTeacher.js');
  try {
    return await GraphTeacher.open(graph, source.given, basename(source.path));
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const where = `settings can be given in ${source.settingsFile} or under graph in the config (docs/teachers.md)`;
    throw new CheckpointError(`graph ${source.path}:\n  ${error.message}\n${where}`, {
      cause: error,
    });
  }
}
