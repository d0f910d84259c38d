/** `cirkd demo`: a teacher, two students, and a report that compares them. */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.js';
import { studentSchema } from '../../program/studentSchema.js';
import { ChildFailedError } from '../../program/children.js';
import { makeDemoFolder } from '../../demo/demoFolder.js';
import { runDemo } from '../../demo/main.js';
import { StoppedError, stopOnSignals } from '../../program/stop.js';
import { type Command, UsageError } from '../command.js';
import { wholeNumber } from '../datasetOptions.js';
import { packageRoot } from '../../program/packageRoot.js';

const usage = `cirkd demo [--out DIR] [--seed N] [--steps N] [--keep] [options]

Starts a teacher service and, one after the other, two students as separate processes: one
trained on labels alone, one with CIRKD, with the same initial weights, crops and steps. Writes a table to
standard output and report.html, report.png, summary.json and pictures/grid.png in the folder.

  --out DIR             the demo's folder; replaced if it exists (default runs/demo)
  --seed N              seed of both students (default: the config's)
  --steps N             steps of both students (default: the config's)
  --keep                renames an older demo in DIR instead of removing it
  --teacher-model FILE  a model file (default examples/demo/teacher.safetensors)
  --start-model FILE    initial weights of both students (default examples/study/start.safetensors;
                        with your own --config, those that it names)
  --config FILE         the students' config (default examples/demo/student.yaml)
  --set KEY=VALUE       overrides one key of that config; repeatable

Exit codes: 0 done, whichever student scores higher; 2 config or usage, 5 the model file; those of a service
that failed; 130 and 143: stopped by a signal.`;

async function run(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      out: { type: 'string', default: join('runs', 'demo') },
      seed: { type: 'string' },
      steps: { type: 'string' },
      keep: { type: 'boolean', default: false },
      'teacher-model': { type: 'string' },
      'start-model': { type: 'string' },
      config: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
    },
  });
  const teacherModel = exampleOr('--teacher-model', values['teacher-model']);
  const configFile = exampleOr('--config', values.config);
  const overrides: string[] = [];
  if (values['start-model'] !== undefined || values.config === undefined) {
    const startModel = exampleOr('--start-model', values['start-model']);
    overrides.push(`student.weights=${JSON.stringify(startModel)}`);
  }
  if (values.seed !== undefined) overrides.push(`seed=${wholeNumber('--seed', values.seed, 0)}`);
  if (values.steps !== undefined) {
    const steps = wholeNumber('--steps', values.steps, 1);
    // The warm-up keeps its share of the run.
    overrides.push(`train.steps=${steps}`, `train.warmupSteps=${Math.floor(steps / 20)}`);
  }
  overrides.push(...values.set);
  const text = readFileSync(configFile, 'utf8');
  const config = loadConfig(studentSchema, { text, fileName: configFile, overrides });
  const out = resolve(values.out);
  await makeDemoFolder(out, values.keep);
  const { stop, release } = stopOnSignals();
  try {
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const end = await runDemo({ out, teacherModel, configFile, overrides, config, stop, say });
    process.stdout.write(`\n${end.text}\nreport: ${shown(end.html)}\n        ${shown(end.png)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ChildFailedError) && !(error instanceof StoppedError)) throw error;
    process.stderr.write(`cirkd demo: ${error.message}\n`);
    return error.exitCode;
  } finally {
    release();
  }
}

const EXAMPLES = {
  '--teacher-model': 'demo/teacher.safetensors',
  '--start-model': 'study/start.safetensors',
  '--config': 'demo/student.yaml',
} as const;

/** The given file, or the package's own example. */
function exampleOr(option: keyof typeof EXAMPLES, given: string | undefined): string {
  const file = given ?? join(packageRoot(), 'examples', EXAMPLES[option]);
  if (!existsSync(file)) throw new UsageError(`${option}: ${file} does not exist`);
  return resolve(file);
}

function shown(path: string): string {
  const short = relative('.', path);
  return short.startsWith('..') ? path : short;
}

export const command: Command = {
  name: 'demo',
  summary: 'Distils a student from a teacher service and reports the result.',
  usage,
  run,
};
