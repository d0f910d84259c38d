/** `cirkd teacher`: serves a teacher network over gRPC until it is told to stop. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.js';
import { type TeacherConfig, teacherSchema } from '../../../src/config/teacher.js';
import { runTeacher } from '../../teacher/main.js';
import { expectBulkBuffers } from '../bulkHeap.js';
import { type Command, UsageError } from '../command.js';

const usage = `cirkd teacher [--config FILE.yaml] [--set key.path=value ...] [flags]

Loads a teacher, warms it up, then serves it: gRPC (cirkd.teacher.v1, grpc.health.v1, reflection)
and /metrics. Once it serves, one line "teacher ready: grpc HOST:PORT, ..." goes to standard
output; the log goes to standard error. SIGTERM and SIGINT drain.

  --config FILE      the config; docs/config.md has every key
  --set KEY=VALUE    overrides one key, VALUE is YAML; as often as wanted
  --checkpoint FILE  same as --set checkpoint=FILE
  --port PORT        same as --set listen.port=PORT
  --metrics-port P   same as --set metrics.port=P
  --simulate         same as --set simulate.enabled=true

Exit codes: 0 stopped by a signal, 1 the network's thread died, 2 config or usage or port in use,
5 checkpoint.`;

function run(argv: string[]): Promise<number> {
  const config = readConfig(argv);
  // TensorFlow reads it when the inference thread opens it; 0 leaves the choice to TensorFlow.
  if (config.threads > 0) process.env.TF_NUM_INTRAOP_THREADS = String(config.threads);
  expectBulkBuffers();
  return runTeacher(config);
}

function readConfig(argv: string[]): TeacherConfig {
  const { values } = parseArgs({
    args: argv,
    options: {
      config: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      checkpoint: { type: 'string' },
      port: { type: 'string' },
      'metrics-port': { type: 'string' },
      simulate: { type: 'boolean' },
    },
  });
  const overrides = [...values.set];
  // JSON is YAML, and quotes what YAML would read as something else.
  if (values.checkpoint !== undefined) {
    overrides.push(`checkpoint=${JSON.stringify(values.checkpoint)}`);
  }
  if (values.port !== undefined) overrides.push(`listen.port=${values.port}`);
  if (values['metrics-port'] !== undefined)
    overrides.push(`metrics.port=${values['metrics-port']}`);
  if (values.simulate) overrides.push('simulate.enabled=true');
  return loadConfig(teacherSchema, {
    text: values.config === undefined ? '' : readText(values.config),
    fileName: values.config ?? 'command line',
    overrides,
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--config: ${(error as Error).message}`);
  }
}

export const command: Command = {
  name: 'teacher',
  summary: 'Serves a teacher network over gRPC.',
  usage,
  run,
};
