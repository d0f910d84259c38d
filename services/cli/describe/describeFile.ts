/** `cirkd import --describe`: what a file holds, and what is missing to serve it. Writes nothing. */
import { existsSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.js';
import { teacherSchema } from '../../../src/config/teacher.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { graphSource } from '../../teacher/graphSource.js';
import { UsageError } from '../command.js';
import { describeGraph } from './describeGraph.js';
import { describeWeights } from './describeWeights.js';

export const DESCRIBE_USAGE = `cirkd import --describe FILE|DIR [--settings FILE.yaml] [--set graph.KEY=VALUE ...]

Prints what a file is, and writes nothing: of an ONNX file or a SavedModel's folder inputs, outputs,
shapes, what each is taken for, the settings with where they come from, and what is missing to serve it;
of a .pth or .safetensors file the network that its weights show. --settings and --set are those of
cirkd teacher.`;

/** Resolves to 0, even if something is missing. Throws CheckpointError if the file can't be used. */
export async function describeFile(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      describe: { type: 'string' },
      settings: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
    },
  });
  const path = values.describe ?? '';
  const key = graphKey(path);
  if (key === null && (values.settings !== undefined || values.set.length > 0)) {
    throw new UsageError(`--settings, --set: are for graphs, ${path} is none`);
  }
  const lines =
    key === null
      ? await describeWeights(path)
      : await describeGraph(sourceOf(key, path, values.settings, values.set));
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return 0;
}

/** The teacher's key for such a file; null where it holds weights. */
function graphKey(path: string): 'graph.onnx' | 'graph.savedModel' | null {
  if (existsSync(path) && statSync(path).isDirectory()) return 'graph.savedModel';
  if (extname(path) === '.onnx') return 'graph.onnx';
  if (['.pth', '.pt', '.safetensors'].includes(extname(path))) return null;
  throw new CheckpointError(
    `${path}: wanted an .onnx file, a SavedModel's folder, a .pth or a .safetensors file`,
  );
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
