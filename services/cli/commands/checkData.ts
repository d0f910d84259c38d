/** `cirkd check-data`: reads a dataset once and reports what is in it and what is wrong with it. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { availableCores } from '../../../src/threads/availableCores.js';
import { duplicates } from '../../../src/data/check/dataCounts.js';
import { inspectDataset } from '../../../src/data/check/inspectDataset.js';
import type { DatasetConfig } from '../../../src/data/datasets.js';
import { DataError } from '../../../src/data/types.js';
import { unlabelled } from '../../../src/evaluate/unlabelled.js';
import { svgPng } from '../../../src/report/png.js';
import {
  requireSameClasses,
  trainingConfig,
  validationConfig,
} from '../../student/trainingData.js';
import { type Command, UsageError } from '../command.js';
import { type CheckedSet, type CheckReport, checkPicture, checkText } from '../dataReport.js';
import { DATASET_OPTIONS, DATASET_USAGE, datasetConfig, wholeNumber } from '../datasetOptions.js';
import { readStudentConfig } from '../configFiles.js';

const usage = `cirkd check-data (--data KIND [options] | --config FILE.yaml [--set key=value ...])

Reads every image and label file once. Prints the pixels and images of each class, the images' sizes, the
share of pixels without a class, decoders' warnings, images that are there twice, and every fault.

  --config FILE   checks data.train and data.val of a student's config, and that they have the same classes;
                  repeatable, as for cirkd student
  --set KEY=VALUE overrides one key of it; repeatable
${DATASET_USAGE}
  --json          prints one JSON object instead of the tables
  --picture FILE  draws each class's share of the labelled pixels, as .svg or .png
  --threads N     threads that read (default: one per available core)

Exit codes: 0 done and nothing is wrong, 2 usage or config, 7 something is wrong.`;

/** A dataset to check, by the name that messages have for it; null: its own. */
interface Task {
  readonly name: string | null;
  readonly config: DatasetConfig;
}

const OPTIONS = {
  ...DATASET_OPTIONS,
  config: { type: 'string', multiple: true, default: [] as string[] },
  set: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
  picture: { type: 'string' },
  threads: { type: 'string' },
} as const;

type Values = ReturnType<typeof readValues>;

function readValues(argv: string[]) {
  return parseArgs({ args: argv, options: OPTIONS }).values;
}

async function run(argv: string[]): Promise<number> {
  const values = readValues(argv);
  const { picture } = values;
  if (picture !== undefined && !/\.(svg|png)$/i.test(picture)) {
    throw new UsageError(`--picture: ${picture} given, wanted a name ending in .svg or .png`);
  }
  const threads =
    values.threads === undefined ? availableCores() : wholeNumber('--threads', values.threads, 1);
  const report = await check(tasksOf(values), threads);
  if (picture !== undefined) await draw(picture, report);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : checkText(report));
  for (const { name, read, labelledPixels, unlabelledPixels, pixels } of report.datasets) {
    if (read === 0 || labelledPixels + unlabelledPixels > 0) continue;
    process.stderr.write(`warning: ${unlabelled(name, { images: read, pixels })}\n`);
  }
  if (report.faults === 0) return 0;
  throw new DataError(`${report.faults} faults, listed above`);
}

function tasksOf(values: Values): Task[] {
  if (values.config.length === 0) {
    if (values.set.length > 0) throw new UsageError('--set: given without --config');
    return [{ name: null, config: datasetConfig(values) }];
  }
  if (values.data !== undefined) {
    throw new UsageError('--data: given with --config, wanted one of them');
  }
  const config = readStudentConfig(values.config, values.set);
  return [
    { name: 'data.train', config: trainingConfig(config) },
    { name: 'data.val', config: validationConfig(config) },
  ];
}

async function check(tasks: readonly Task[], threads: number): Promise<CheckReport> {
  const datasets: CheckedSet[] = [];
  const digests: Parameters<typeof duplicates>[0][number][] = [];
  for (const { name, config } of tasks) {
    try {
      const onSample = (done: number, total: number) => showProgress(name, done, total);
      const counts = await inspectDataset(config, { threads, onSample });
      const report = counts.report();
      datasets.push({ name: name ?? report.dataset, ...report });
      digests.push({ name: name ?? report.dataset, digests: counts.digests });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      datasets.push(unopened(name ?? `${config.kind}/${config.split}`, error));
    } finally {
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    }
  }
  const [train, val] = datasets as [CheckedSet, CheckedSet?];
  const checked = val === undefined ? datasets : [train, sameClasses(train, val)];
  const faults = checked.reduce((sum, set) => sum + set.faults.length, 0);
  return { datasets: checked, duplicates: duplicates(digests), faults };
}

function unopened(name: string, { message }: DataError): CheckedSet {
  return {
    ...{ name, dataset: name, samples: 0, read: 0 },
    ...{ pixels: 0, labelledPixels: 0, ignoredPixels: 0, unlabelledPixels: 0 },
    ...{ classes: [], sizes: [], orientations: {}, warnings: [] },
    faults: [{ sample: '', message }],
  };
}

/** data.val with a fault more if its classes aren't those of data.train. */
function sameClasses(train: CheckedSet, val: CheckedSet): CheckedSet {
  if (train.classes.length === 0 || val.classes.length === 0) return val;
  const named = ({ dataset, classes }: CheckedSet) => ({
    name: dataset,
    classNames: classes.map(({ name }) => name),
  });
  try {
    requireSameClasses(named(train), named(val));
    return val;
  } catch (error) {
    const { message } = error as Error;
    return { ...val, faults: [...val.faults, { sample: '', message }] };
  }
}

async function draw(file: string, report: CheckReport): Promise<void> {
  const svg = checkPicture(report);
  writeFileSync(file, /\.png$/i.test(file) ? await svgPng(svg) : svg);
}

/** On a terminal only; the results go to standard output. */
function showProgress(name: string | null, done: number, total: number): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${name ?? 'samples'}: ${done} of ${total}`);
}

export const command: Command = {
  name: 'check-data',
  summary: 'Reads a dataset once: pixels per class, sizes, and every fault of its files.',
  usage,
  run,
};
