/** `cirkd teacher`: serves a teacher network over gRPC until it is told to stop. */
import { parseArgs } from 'node:util';
import { type TeacherConfig, teacherSchema } from '../../../src/config/teacher.js';
import { findModel } from '../../teacher/findModel.js';
import { runTeacher } from '../../teacher/main.js';
import { expectBulkBuffers } from '../../program/bulkHeap.js';
import type { Command } from '../command.js';
import { readConfigFiles } from '../configFiles.js';

const usage = `cirkd teacher [--config FILE.yaml ...] [--set key.path=value ...] [flags]

Loads a teacher, warms it up, then serves it: gRPC (cirkd.teacher.v1, grpc.health.v1, reflection)
and /metrics. Once it serves, one line "teacher ready: grpc HOST:PORT, ..." goes to standard
output; the log goes to standard error. SIGTERM and SIGINT drain.

  --config FILE      the config; docs/config.md has every key. Repeatable: sections of later files are
                     merged into those of earlier ones, other values replace them
  --set KEY=VALUE    overrides one key, VALUE is YAML; repeatable
  --model PATH       a .safetensors or .onnx file, the folder of a SavedModel, or a folder that contains
                     just one of these: same as --checkpoint, --onnx or --saved-model
  --checkpoint FILE  same as --set checkpoint=FILE
  --onnx FILE        same as --set graph.onnx=FILE: an ONNX file (docs/teachers.md)
  --saved-model DIR  same as --set graph.savedModel=DIR: the folder of a SavedModel
  --settings FILE    same as --set graph.settings=FILE: settings that the graph doesn't contain; by
                     default model.yaml beside model.onnx, or cirkd.yaml in the SavedModel's folder
  --provider NAME    same as --set graph.provider=NAME: cpu or cuda, for --onnx
  --cpus LIST        same as --set cpus=LIST: the processors that all threads run on, such as 0-3,8 (Linux)
  --compute MODE     same as --set compute=MODE: float32 or bfloat16, for --checkpoint (docs/teachers.md)
  --port PORT        same as --set listen.port=PORT
  --metrics-port P   same as --set metrics.port=P
  --simulate         same as --set simulate.enabled=true

Exit codes: 0 stopped by a signal, 1 the inference thread failed, 2 config or usage or port in use,
5 checkpoint or graph.`;

const TEXT_FLAGS = {
  checkpoint: { type: 'string' },
  onnx: { type: 'string' },
  'saved-model': { type: 'string' },
  settings: { type: 'string' },
  provider: { type: 'string' },
  cpus: { type: 'string' },
  compute: { type: 'string' },
} as const;

const KEY_OF_FLAG: Readonly<Record<keyof typeof TEXT_FLAGS, string>> = {
  checkpoint: 'checkpoint',
  onnx: 'graph.onnx',
  'saved-model': 'graph.savedModel',
  settings: 'graph.settings',
  provider: 'graph.provider',
  cpus: 'cpus',
  compute: 'compute',
};

function run(argv: string[]): Promise<number> {
  const config = readConfig(argv);
  expectBulkBuffers();
  return runTeacher(config);
}

function readConfig(argv: string[]): TeacherConfig {
  const { values } = parseArgs({
    args: argv,
    options: {
      config: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      ...TEXT_FLAGS,
      model: { type: 'string' },
      port: { type: 'string' },
      'metrics-port': { type: 'string' },
      simulate: { type: 'boolean' },
    },
  });
  const overrides = [...values.set];
  // JSON is valid YAML, and quotes strings that YAML would read as another type.
  if (values.model !== undefined) {
    const { key, path } = findModel(values.model);
    overrides.push(`${key}=${JSON.stringify(path)}`);
  }
  for (const [flag, key] of Object.entries(KEY_OF_FLAG) as [keyof typeof TEXT_FLAGS, string][]) {
    if (values[flag] !== undefined) overrides.push(`${key}=${JSON.stringify(values[flag])}`);
  }
  if (values.port !== undefined) overrides.push(`listen.port=${values.port}`);
  if (values['metrics-port'] !== undefined)
    overrides.push(`metrics.port=${values['metrics-port']}`);
  if (values.simulate) overrides.push('simulate.enabled=true');
  return readConfigFiles(teacherSchema, values.config, overrides);
}

export const command: Command = {
  name: 'teacher',
  summary: 'Serves a teacher network over gRPC.',
  usage,
  run,
};
