/**
 * The study on the synthetic set: the same student (init, crops, steps) on labels alone, with logits
 * KD, and with all terms of CIRKD, over several seeds. Each run is `cirkd student` as a process of
 * its own, taught by one `cirkd teacher`; runs that are finished are not repeated.
 *
 *     node --import tsx bench/study/main.ts --out runs/study --seeds 0,1,2,3,4 --jobs 1
 */
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { Children } from '../../services/demo/children.js';
import { startTeacher } from '../../services/demo/teacherChild.js';
import { type StudyRun, studyTable } from './table.js';

/** Every variant sees the same crops; only the terms differ. */
const VARIANTS = {
  labels: [],
  'labels + logits KD': [
    'loss.weights.minibatch_pixel=0',
    'loss.weights.memory_pixel=0',
    'loss.weights.memory_region=0',
  ],
  CIRKD: [],
} as const;

type VariantName = keyof typeof VARIANTS;

const { values } = parseArgs({
  options: {
    config: { type: 'string', default: 'examples/study/student.yaml' },
    teacher: { type: 'string', default: 'examples/demo/teacher.safetensors' },
    out: { type: 'string', default: 'runs/study' },
    seeds: { type: 'string', default: '0,1,2,3,4' },
    jobs: { type: 'string', default: '1' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const seeds = values.seeds.split(',').map(Number);
const children = new Children();
try {
  await ensureFolder(values.out);
  const teacher = await startTeacher(children, {
    modelFile: values.teacher,
    warmUp: [96, 192],
    logFile: join(values.out, 'teacher.log'),
    stop: new AbortController().signal,
  });
  const names = Object.keys(VARIANTS) as VariantName[];
  const waiting = seeds.flatMap((seed) => names.map((variant) => ({ seed, variant })));
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
  const order = Object.keys(VARIANTS);
  const sorted = runs.toSorted(
    (a, b) => order.indexOf(a.variant) - order.indexOf(b.variant) || a.seed - b.seed,
  );
  const text = `${studyTable(sorted)}\n`;
  await replaceFile(join(values.out, 'table.md'), text);
  await replaceFile(join(values.out, 'results.json'), `${JSON.stringify(sorted, null, 2)}\n`);
  process.stdout.write(text);
}

async function studentRun(seed: number, variant: VariantName, address: string): Promise<StudyRun> {
  const id = `${variant.replaceAll(/[^A-Za-z]+/g, '-')}-seed${seed}`;
  const finished = await summaryOf(id);
  if (finished !== null) return { seed, variant, ...finished };
  const addresses = variant === 'labels' ? [] : [address];
  const settings = [
    `run.directory=${JSON.stringify(values.out)}`,
    `run.id=${id}`,
    `seed=${seed}`,
    `teacher.addresses=${JSON.stringify(addresses)}`,
    ...VARIANTS[variant],
    ...values.set,
  ];
  const args = ['student', '--config', values.config, '--resume'];
  const log = openSync(join(values.out, `${id}.log`), 'a');
  const given = [...args, ...settings.flatMap((one) => ['--set', one])];
  const child = children.start(given, ['ignore', log, log]);
  closeSync(log);
  const end = await child.ended;
  const summary = await summaryOf(id);
  if (end.code !== 0 || summary === null) throw new Error(`${id} ended with ${end.code}`);
  return { seed, variant, ...summary };
}

async function summaryOf(id: string): Promise<{ miou: number; pixelAccuracy: number } | null> {
  try {
    const text = await readFile(join(values.out, id, 'summary.json'), 'utf8');
    const { baseline, cirkd } = JSON.parse(text);
    const { miou, pixelAccuracy } = cirkd ?? baseline;
    return { miou, pixelAccuracy };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
