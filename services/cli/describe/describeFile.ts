/** `cirkd import --describe`: what a file holds, and what is missing to serve it. Writes nothing. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.js';
import { teacherSchema } from '../../../src/config/teacher.js';
import { graphSource } from '../../teacher/graphSource.js';
import { UsageError } from '../command.js';
import { isFolder, isOnnxName } from '../import/weightsFile.js';
import { describeGraph } from './describeGraph.js';
import { describeWeights } from './describeWeights.js';

export const DESCRIBE_USAGE = `cirkd import --describe FILE|DIR [options]

Describes a file and writes nothing. A folder is read as a SavedModel, a file whose name ends in .onnx as
ONNX: inputs, outputs, shapes and the role of each, the settings and their origins, and what is missing to
serve it (--settings and --set graph.KEY=VALUE as with cirkd teacher). For any other file: the network
detected from its weights, its settings and their origins, and all weights that don't match it (--key and
--strip-prefix as above).`;

/** Resolves to 0, even if something is missing. Throws CheckpointError if the file can't be used. */
export async function describeFile(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      describe: { type: 'string' },
      settings: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      key: { type: 'string' },
      'strip-prefix': { type: 'string' },
    },
  });
  const path = values.describe ?? '';
  if (path === '') throw new UsageError("--describe: '' given, wanted a file or a folder");
  const { key, 'strip-prefix': prefix } = values;
  if (prefix === '') throw new UsageError("--strip-prefix: '' given, wanted a name");
  const graph = graphKey(path);
  if (graph === null && (values.settings !== undefined || values.set.length > 0)) {
    throw new UsageError(`--settings, --set: are for graphs, ${path} is not one`);
  }
  if (graph !== null && (key !== undefined || prefix !== undefined)) {
    throw new UsageError(`--key, --strip-prefix: are for files of weights, ${path} is a graph`);
  }
  const lines =
    graph === null
      ? await describeWeights(path, { key, prefix })
      : await describeGraph(sourceOf(graph, path, values.settings, values.set));
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return 0;
}

/** The teacher's key for such a file; null where it holds weights. */
function graphKey(path: string): 'graph.onnx' | 'graph.savedModel' | null {
  if (isFolder(path)) return 'graph.savedModel';
  return isOnnxName(path) ? 'graph.onnx' : null;
}

function sourceOf(
  key: 'graph.onnx' | 'graph.savedModel',
  path: string,
  settings: string | undefined,
  set: readonly string[],
) {
  const overrides = [...set, `${key}=${JSON.stringify(path)}`];
  if (settings !== undefined) overrides.push(`graph.settings=${JSON.stringify(settings)}`);
  const config = loadConfig(teacherSchema, { text: '', fileName: 'command line', overrides });
  return graphSource(config.graph, config.threads)!;
}
