/** Tiny graphs as files, and as teachers. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { graphFileSchema } from '../../../src/config/sections/graphSection.js';
import type { GraphSettings } from '../../../src/graphs/graphSettings.js';
import { GraphTeacher } from '../../../src/graphs/graphTeacher.js';
import { openOnnxGraph } from '../../../src/graphs/onnxGraph.js';
import { type TinyGraph, tinyOnnx } from './tinyGraph.js';

/** Writes model.onnx, and what belongs beside it, into a new folder; returns the path. */
export function writeTiny(parent: string, graph: TinyGraph = {}): string {
  const folder = mkdtempSync(join(parent, 'graph-'));
  const { model, external } = tinyOnnx(graph);
  const path = join(folder, 'model.onnx');
  writeFileSync(path, model);
  if (graph.externalFile !== undefined) writeFileSync(join(folder, graph.externalFile), external);
  return path;
}

/** Opens a file as a teacher. Pixels are plain unless the settings say otherwise. */
export async function openTiny(
  path: string,
  settings: Partial<GraphSettings> = {},
  onRun: (outputs: readonly string[]) => void = () => {},
): Promise<GraphTeacher> {
  const graph = await openOnnxGraph(path, { provider: 'cpu', threads: 1 });
  const run = graph.run.bind(graph);
  graph.run = (image, outputs) => {
    onRun(outputs);
    return run(image, outputs);
  };
  const none = graphFileSchema.root.parse({});
  const all: GraphSettings = { ...none, normalisation: 'none', ...settings };
  const given = Object.entries(all).filter(([, value]) => value !== null);
  const origins = Object.fromEntries(given.map(([key]) => [key, 'test']));
  return GraphTeacher.open(graph, { settings: all, origins }, 'tiny');
}
