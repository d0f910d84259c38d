/** `cirkd student`: trains a student, with teachers or on labels alone. */
import { parseArgs } from 'node:util';
import { formatConfig } from '../../../src/config/format.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { runStudent } from '../../student/main.js';
import { expectBulkBuffers } from '../../program/bulkHeap.js';
import type { Command } from '../command.js';
import { readStudentConfig } from '../configFiles.js';

/** Exit code of a run that a signal ended. */
const STOPPED = 143;

/** Ctrl-C reaches a child of npm twice, from the terminal and from npm: the two count as one. */
const SAME_SIGNAL_MS = 250;

const usage = `cirkd student --config FILE.yaml ... [--set key.path=value ...] [--resume] [--print-config]

Trains a student. With teacher.addresses it distils from these teachers, without them it trains on
labels alone. Its results are in <run.directory>/<run.id>: config.yaml, events.jsonl,
checkpoints/, summary.json, report.html, report.png. Progress and log go to standard error.

  --config FILE     the config; docs/config.md has every key. Repeatable: sections of later files are
                    merged into those of earlier ones, other values replace them
  --set KEY=VALUE   overrides one key, VALUE is YAML; repeatable
  --resume          continues from the newest checkpoint of run.id, or from the start if there is none
  --print-config    prints the resolved config and exits

SIGTERM and SIGINT stop the run after the current step, with its state saved; a second one ends it
at once. A run stopped before its first step leaves no files.
Exit codes: 0 done, 2 config or usage, 3 no teacher, 4 contract mismatch, 5 checkpoint,
6 non-finite loss, 7 data, 143 stopped by a signal.`;

export const command: Command = {
  name: 'student',
  summary: 'Trains a student, with teachers or on labels alone.',
  usage,
  async run(argv) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string', multiple: true, default: [] },
        set: { type: 'string', multiple: true, default: [] },
        resume: { type: 'boolean', default: false },
        'print-config': { type: 'boolean', default: false },
      },
    });
    const config = readStudentConfig(values.config, values.set);
    if (values['print-config']) {
      process.stdout.write(formatConfig(config));
      return 0;
    }
    expectBulkBuffers();
    return runUntilSignal(config, values.resume);
  },
};

async function runUntilSignal(config: StudentConfig, resume: boolean): Promise<number> {
  const stop = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    const nowMs = performance.now();
    // A second signal means that the user doesn't want to wait for the step.
    if (nowMs - firstMs > SAME_SIGNAL_MS) process.exit(STOPPED);
    firstMs = Math.min(firstMs, nowMs);
    stop.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    const { ended, folder } = await runStudent(config, {
      resume,
      stream: process.stderr,
      stop: stop.signal,
    });
    process.stdout.write(`run ${ended}: ${folder ?? 'before it began'}\n`);
    return ended === 'stopped' ? STOPPED : 0;
  } finally {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  }
}
