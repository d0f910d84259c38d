/** The network that a config asks for. Only called in the inference thread. */
import { readFileSync } from 'node:fs';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { SimulatedNetwork } from './simulateEngine.js';
import type { Network, NetworkSource } from './workerProtocol.js';

/** Throws CheckpointError when the file is missing or holds no usable network. */
export async function loadNetwork(source: NetworkSource): Promise<Network> {
  if (source.kind === 'simulate') return new SimulatedNetwork(source);
  const file = readCheckpoint(source.path);
  // Only here: a simulated teacher needs no TensorFlow.
  const { TeacherNetwork } = await import('../../src/models/teacherNetwork.js');
  try {
    return TeacherNetwork.load(file);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`checkpoint ${source.path}: ${error.message}`, { cause: error });
  }
}

function readCheckpoint(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CheckpointError(`checkpoint: ${(error as Error).message}`, { cause: error });
  }
}
