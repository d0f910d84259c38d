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
import { parseArgs } from 'node:util';
import { Children } from '../../services/demo/children.js';
import { startTeacher } from '../../services/demo/teacherChild.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { readStudyRun, type StudyRun } from './studyRun.js';
import { studyTable, timeTable } from './table.js';
import { chooseVariants } from './variants.js';

const { values } = parseArgs({
  options: {
    config: { type: 'string', default: 'examples/study/student.yaml' },
    teacher: { type: 'string', default: 'examples/demo/teacher.safetensors' },
    variants: { type: 'string', default: 'labels,logits-kd,cirkd' },
    out: { type: 'string', default: 'runs/study' },
    seeds: { type: 'string', default: '0,1,2,3,4' },
    jobs: { type: 'string', default: '1' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const variants = chooseVariants(values.variants);
const seeds = values.seeds.split(',').map(Number);
const config = loadConfig(studentSchema, {
  text: await readFile(values.config, 'utf8'),
  fileName: values.config,
  overrides: values.set,
});
const children = new Children();
try {
  await ensureFolder(values.out);
  const { crop } = config.data;
  const teacher = await startTeacher(children, {
    modelFile: values.teacher,
    warmUp: [crop.height, crop.width],
    threads: config.train.threads,
    logFile: join(values.out, 'teacher.log'),
    stop: new AbortController().signal,
  });
  const waiting = seeds.flatMap((seed) => variants.map((variant) => ({ seed, variant })));
  const runs: StudyRun[] = [];
  let written = Promise.resolve();
  const job = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      runs.push(await studentRun(next.seed, next.variant, teacher.address));
      // One after the other: jobs that end together would write the same files.
      written = written.then(() => writeResults(runs));
      await written;
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, job));
} finally {
  await children.close();
}

async function writeResults(runs: readonly StudyRun[]): Promise<void> {
  const order = variants.map(({ title }) => title);
  const sorted = runs.toSorted(
    (a, b) => order.indexOf(a.variant) - order.indexOf(b.variant) || a.seed - b.seed,
  );
  const text = `${studyTable(sorted)}\n\n${timeTable(sorted)}\n`;
  await replaceFile(join(values.out, 'table.md'), text);
  await replaceFile(join(values.out, 'results.json'), `${JSON.stringify(sorted, null, 2)}\n`);
  process.stdout.write(text);
}

async function studentRun(
  seed: number,
  { name, title, isTaught, settings }: (typeof variants)[number],
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
