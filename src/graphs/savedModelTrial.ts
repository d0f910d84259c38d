/** Entry of the child process that tries a SavedModel, see savedModelChildProcess.ts. */
import { zeros } from '../tensor/index.js';
import type { GraphTensor } from './graph.js';
import { openSavedModel } from './savedModel.js';

/** Used for sizes that the graph leaves open. */
const [IMAGES, HEIGHT, WIDTH, CHANNELS] = [1, 64, 128, 3];

/** Loads the graph and runs it once per output. Never rejects: errors occur again in the parent process. */
export async function tryOut(directory: string): Promise<void> {
  try {
    const graph = await openSavedModel(directory, { trial: false });
    const image = zeros(trialShape(graph.inputs[0]!));
    for (const { name } of graph.outputs) await graph.run(image, [name]).catch(() => []);
  } catch {
    // Reported when the parent loads the graph.
  }
}

function trialShape({ shape }: GraphTensor): number[] {
  const isFirst = shape?.[1] === CHANNELS;
  const any = isFirst ? [IMAGES, CHANNELS, HEIGHT, WIDTH] : [IMAGES, HEIGHT, WIDTH, CHANNELS];
  return any.map((size, axis) => shape?.[axis] ?? size);
}
