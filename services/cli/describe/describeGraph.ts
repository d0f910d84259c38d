/** Describes a graph for people: its inputs, its outputs and its known settings. */
import type { Graph, GraphTensor } from '../../../src/graphs/graph.js';
import type { GraphReading } from '../../../src/graphs/graphDescription.js';
import { readGraph } from '../../../src/graphs/graphReading.js';
import { shapeText } from '../../../src/graphs/inputReading.js';
import { readOnnxFile } from '../../../src/graphs/onnxFile.js';
import { printable } from '../../../src/wire/printable.js';
import { openGraph } from '../../teacher/loadNetwork.js';
import type { GraphSource } from '../../teacher/workerProtocol.js';

/** Throws CheckpointError if the library rejects the graph. */
export async function describeGraph(source: GraphSource): Promise<string[]> {
  const graph = await openGraph(source);
  try {
    const reading = await readGraph(graph, source.given);
    return [
      `${source.path}: ${await kindOf(source)}, run by ${graph.runtime}`,
      graph.hash,
      'inputs',
      ...tensorLines(graph.inputs, () => 'the image'),
      'outputs',
      ...tensorLines(graph.outputs, ({ name }) => roleOf(name, reading)),
      'settings',
      ...columns(reading.findings.map(({ key, value, from }) => [key, value, from])),
      ...listOf('does not fit', reading.faults),
      ...listOf('missing', reading.missing),
      ...conclusion(source, graph, reading),
    ];
  } finally {
    await graph.close();
  }
}

async function kindOf({ format, path }: GraphSource): Promise<string> {
  if (format === 'saved_model') return 'a SavedModel';
  const { opsets, producer, externalFiles } = await readOnnxFile(path);
  const weights = externalFiles.map((name) => ` with ${printable(name)}`).join('');
  return `ONNX${weights}, opset ${opsets.join(', ')}, made by ${producer || 'an unnamed program'}`;
}

function tensorLines(
  tensors: readonly GraphTensor[],
  role: (tensor: GraphTensor) => string,
): string[] {
  return columns(
    tensors.map((tensor) => [
      printable(tensor.name),
      `${tensor.dtype} ${shapeText(tensor.shape)}`,
      role(tensor),
    ]),
  );
}

function roleOf(name: string, { findings }: GraphReading): string {
  const roles = findings.filter(
    ({ key, value }) =>
      (key === 'logits' || key === 'feature') && value.startsWith(`${printable(name)} (`),
  );
  return roles.map(({ key }) => key).join(', ') || 'not used';
}

function conclusion({ settingsFile }: GraphSource, graph: Graph, reading: GraphReading): string[] {
  const { description } = reading;
  if (description === null) {
    return [`settings can be given in ${settingsFile} or under graph in the teacher's config`];
  }
  const flag = graph.format === 'onnx' ? '--onnx' : '--saved-model';
  const without =
    description.feature === null
      ? ['without a feature: students train on the terms of the logits alone']
      : [];
  return [...without, `it can be served: cirkd teacher ${flag}`];
}

function listOf(title: string, entries: readonly string[]): string[] {
  return entries.length === 0 ? [] : [title, ...entries.map((entry) => `  ${entry}`)];
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  return rows.map(([first, second, third]) =>
    `  ${first!.padEnd(widths[0]!)}  ${second!.padEnd(widths[1]!)}  ${third}`.trimEnd(),
  );
}
