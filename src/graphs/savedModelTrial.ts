/** What a process of its own does with a SavedModel: see savedModelApart.ts. */
import { zeros } from '../tensor/index.js';
import type { GraphTensor } from './graph.js';
import { openSavedModel } from './savedModel.js';

/** For sizes that may be any. */
const [IMAGES, HEIGHT, WIDTH, CHANNELS] = [1, 64, 128, 3];

/** Loads it and runs it once. Never rejects: an error comes again in the process that asked. */
export async function tryOut(directory: string): Promise<void> {
  try {
    const graph = await openSavedModel(directory, { apart: false });
    const image = zeros(trialShape(graph.inputs[0]!));
    for (const { name } of graph.outputs) await graph.run(image, [name]).catch(() => []);
  } catch {
    // Told by whoever loads it next.
  }
}

function trialShape({ shape }: GraphTensor): number[] {
  const isFirst = shape?.[1] === CHANNELS;
  const any = isFirst ? [IMAGES, CHANNELS, HEIGHT, WIDTH] : [IMAGES, HEIGHT, WIDTH, CHANNELS];
  return any.map((size, axis) => shape?.[axis] ?? size);
}
