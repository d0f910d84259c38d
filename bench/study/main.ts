/**
 * A study: the same student (init, crops, steps) with more and more of CIRKD's terms, over several
 * seeds. Each run is `cirkd student` as a process of its own, taught by one `cirkd teacher`; runs
 * that are finished are not repeated. Without options, the study on the synthetic set:
 *
 *     node --import tsx bench/study/main.ts --out runs/study --seeds 0,1,2,3,4 --jobs 1
 *
 * `--config` and `--teacher` make it another one (recipes/camvid-cpu.yaml); `--variants` takes names
 * of variants.ts, `--set` what `cirkd student` takes, for all runs.
 */
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Children } from '../../services/program/children.js';
import { startTeacher } from '../../services/demo/teacherChild.js';
import { UsageError } from '../../services/cli/command.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import {
  helped,
  readOptions,
  text,
  texts,
  type ValuesOf,
  wholeNumber,
  wholeNumbers,
} from '../support/options.js';
import { runMain } from '../support/program.js';
import { readStudyRun, type StudyRun } from './studyRun.js';
import { studyTable, timeTable } from './table.js';
import { chooseVariants, type NamedVariant } from './variants.js';

const OPTIONS = {
  config: text.default('examples/study/student.yaml').describe('the config of all runs'),
  teacher: text
    .default('examples/demo/teacher.safetensors')
    .describe('the model file of their teacher'),
  variants: text
    .default('labels,logits-kd,cirkd')
    .describe('names of variants.ts with commas between them'),
  out: text.default('runs/study').describe('a folder for the runs'),
  seeds: wholeNumbers([0, 1, 2, 3, 4], 0),
  jobs: wholeNumber(1),
  set: texts.describe('KEY=VALUE as for cirkd student, any number of times'),
};

type Values = ValuesOf<typeof OPTIONS>;

await runMain('bench/study', async () => {
  const argv = process.argv.slice(2);
  if (helped('node --import tsx bench/study/main.ts [options]', OPTIONS, argv)) return;
  await study(readOptions(OPTIONS, argv));
});

async function study(values: Values): Promise<void> {
  const variants = chooseVariants(values.variants);
  const { crop, threads } = await readConfig(values);
  const children = new Children();
  try {
    await prepareFolder(values.out);
    const teacher = await startTeacher(children, {
      modelFile: values.teacher,
      warmUp: [crop.height, crop.width],
      threads,
      logFile: join(values.out, 'teacher.log'),
      stop: new AbortController().signal,
    });
    const waiting = values.seeds.flatMap((seed) => variants.map((variant) => ({ seed, variant })));
    const runs: StudyRun[] = [];
    let written = Promise.resolve();
    const job = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        runs.push(await studentRun(values, children, next.seed, next.variant, teacher.address));
        // One after the other: jobs that end together would write the same files.
        written = written.then(() => writeResults(values.out, variants, runs));
        await written;
      }
    };
    await Promise.all(Array.from({ length: values.jobs }, job));
  } finally {
    await children.close();
  }
}

async function readConfig({ config: fileName, set: overrides }: Values) {
  const given = await readFile(fileName, 'utf8').catch((error: Error) => {
    throw new UsageError(`--config: ${fileName} given, wanted a file: ${error.message}`);
  });
  const { data, train } = loadConfig(studentSchema, { text: given, fileName, overrides });
  return { crop: data.crop, threads: train.threads };
}

/** Before anything is trained. */
async function prepareFolder(out: string): Promise<void> {
  await ensureFolder(out).catch((error: Error) => {
    throw new UsageError(`--out: ${out} given, wanted a folder: ${error.message}`);
  });
}

async function writeResults(
  folder: string,
  variants: readonly NamedVariant[],
  runs: readonly StudyRun[],
): Promise<void> {
  const order = variants.map(({ title }) => title);
  const sorted = runs.toSorted(
    (a, b) => order.indexOf(a.variant) - order.indexOf(b.variant) || a.seed - b.seed,
  );
  const text = `${studyTable(sorted)}\n\n${timeTable(sorted)}\n`;
  await replaceFile(join(folder, 'table.md'), text);
  await replaceFile(join(folder, 'results.json'), `${JSON.stringify(sorted, null, 2)}\n`);
  process.stdout.write(text);
}

async function studentRun(
  values: Values,
  children: Children,
  seed: number,
  { name, title, isTaught, settings }: NamedVariant,
  address: string,
): Promise<StudyRun> {
  const id = `${name}-seed${seed}`;
  const folder = join(values.out, id);
  const finished = await readStudyRun(folder, { seed, variant: title });
  if (finished !== null) return finished;
  const all = [
    ...values.set,
    `run.directory=${JSON.stringify(values.out)}`,
    `run.id=${id}`,
    `seed=${seed}`,
    `teacher.addresses=${JSON.stringify(isTaught ? [address] : [])}`,
    ...settings,
  ];
  const args = ['student', '--config', values.config, '--resume'];
  const log = openSync(join(values.out, `${id}.log`), 'a');
  const given = [...args, ...all.flatMap((one) => ['--set', one])];
  const child = children.start(given, ['ignore', log, log]);
  closeSync(log);
  const end = await child.ended;
  const run = await readStudyRun(folder, { seed, variant: title });
  if (end.code !== 0 || run === null) throw new Error(`${id} ended with ${end.code}`);
  return run;
}
