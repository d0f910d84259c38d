/** `cirkd student`: trains a student, with teachers or on labels alone. */
import { parseArgs } from 'node:util';
import { RankLostError } from '../../../src/collectives/collective.js';
import { formatConfig } from '../../../src/config/format.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { parseTfConfig } from '../../../src/config/tfConfig.js';
import { launchGroup } from '../../student/group/launch.js';
import { interruptCollectives, isFollower, isInGroup } from '../../student/group/membership.js';
import { runStudent } from '../../student/main.js';
import { expectBulkBuffers } from '../../program/bulkHeap.js';
import { type Command, UsageError } from '../command.js';
import { readStudentConfig } from '../configFiles.js';

/** Exit code of a run that a signal ended. */
const STOPPED = 143;

/** SIGHUP: its terminal was closed. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

const MOST_WORKERS = 64;

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
  --workers N       trains with N processes on this machine, which share each batch (docs/distributed.md)

With TF_CONFIG in the environment, or distributed.workers and index in the config, the process is one of a
group's, possibly on several machines.

SIGTERM, SIGINT and SIGHUP (a closed terminal) stop the run after the current step, with its state
saved; a second one ends it at once. A run stopped before its first step leaves no files.
Exit codes: 0 done, 2 config or usage, 3 no teacher, 4 contract mismatch, 5 checkpoint,
6 non-finite loss, 7 data, 8 another process of the group lost, 143 stopped by a signal.`;

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
        workers: { type: 'string' },
      },
    });
    const config = readStudentConfig(values.config, [
      ...values.set,
      ...placeInGroup(values.workers),
    ]);
    if (values['print-config']) {
      process.stdout.write(formatConfig(config));
      return 0;
    }
    if (values.workers !== undefined) {
      const resume = values.resume ? ['--resume'] : [];
      const settings = values.set.flatMap((one) => ['--set', one]);
      const files = values.config.flatMap((one) => ['--config', one]);
      const args = [...files, ...settings, ...resume];
      return launch(config, workersOf(values.workers), args);
    }
    expectBulkBuffers();
    return runUntilSignal(config, values.resume);
  },
};

/** Settings from TF_CONFIG. Throws ConfigError naming its field, UsageError beside --workers. */
function placeInGroup(workers: string | undefined): string[] {
  const text = process.env['TF_CONFIG'] ?? '';
  if (text === '') return [];
  if (workers !== undefined) {
    throw new UsageError('--workers: given, and TF_CONFIG is set, too: unset one of them');
  }
  const { workers: addresses, index } = parseTfConfig(text);
  return [`distributed.workers=${JSON.stringify(addresses)}`, `distributed.index=${index}`];
}

function workersOf(text: string): number {
  const workers = Number(text);
  if (Number.isInteger(workers) && workers >= 1 && workers <= MOST_WORKERS) return workers;
  throw new UsageError(`--workers: got ${text}, wanted 1 to ${MOST_WORKERS}`);
}

/** Checks once what all ranks would complain of. */
async function launch(config: StudentConfig, workers: number, args: string[]): Promise<number> {
  if (config.distributed.workers.length > 0) {
    throw new UsageError('--workers: given, and distributed.workers, too: remove one of them');
  }
  const { batchSize } = config.train;
  if (batchSize % workers !== 0) {
    throw new UsageError(
      `--workers: got ${workers}, wanted a divisor of train.batchSize (${batchSize})`,
    );
  }
  const handlers: ((signal: NodeJS.Signals) => void)[] = [];
  const pass = (signal: NodeJS.Signals) => {
    for (const handler of handlers) handler(signal);
  };
  for (const signal of SIGNALS) process.on(signal, pass);
  try {
    return await launchGroup({
      ...{ workers, config, args, stdout: process.stdout, stderr: process.stderr },
      onSignal: (handler) => handlers.push(handler),
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, pass);
  }
}

async function runUntilSignal(config: StudentConfig, resume: boolean): Promise<number> {
  const stop = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    const nowMs = performance.now();
    // A second signal means that the user doesn't want to wait for the step.
    if (nowMs - firstMs > SAME_SIGNAL_MS) {
      if (isInGroup(config)) interruptCollectives();
      process.exit(STOPPED);
    }
    firstMs = Math.min(firstMs, nowMs);
    stop.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    const { ended, folder } = await runStudent(config, {
      resume,
      stream: process.stderr,
      stop: stop.signal,
    });
    const place = isFollower(config) ? 'rank 0 has its folder' : (folder ?? 'before it began');
    process.stdout.write(`run ${ended}: ${place}\n`);
    return ended === 'stopped' ? STOPPED : 0;
  } catch (error) {
    // All ranks get the signal, and another one may have ended first.
    if (stop.signal.aborted && error instanceof RankLostError) return STOPPED;
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
