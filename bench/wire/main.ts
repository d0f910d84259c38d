/**
 * The ways in which a teacher's answer can travel: bytes, time, and what each does to each loss and
 * its gradient, with a real teacher on real images.
 *
 *     node --import tsx bench/wire/main.ts --teacher TEACHER.safetensors --camvid CAMVID \
 *       --student STUDENT.safetensors --out docs/wire.md
 *
 * Results stay in runs/wire/results.json; `--render FILE` writes the document from such a file.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { openDataset } from '../../src/data/datasets.js';
import { TeacherNetwork } from '../../src/models/teacherNetwork.js';
import { engineInfo } from '../../src/tensor/index.js';
import { keepResults, readOrMeasure, say } from '../support/benchResults.js';
import { machine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { type Accuracy, measureAccuracy } from './accuracy.js';
import { measureCoding } from './coding.js';
import { benchStudent } from './students.js';
import { section, type WireResults } from './table.js';

const { values } = parseArgs({
  options: {
    teacher: { type: 'string' },
    camvid: { type: 'string' },
    /** A model file of a student that has learnt; a drawn one is measured besides. */
    student: { type: 'string' },
    batches: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '15' },
    results: { type: 'string', default: 'runs/wire/results.json' },
    render: { type: 'string' },
    out: { type: 'string' },
  },
});

/** A crop of 512x1024 with the largest feature there is, and CamVid's images whole. */
const SIZES = [
  { height: 64, width: 128, classes: 19, channels: 512 },
  { height: 45, width: 60, classes: 11, channels: 128 },
] as const;

const results = await readOrMeasure(values.render, measureAll);
if (values.out !== undefined) await writeMarkedSection(values.out, 'wire', section(results));
process.stdout.write(`${section(results)}\n`);

async function measureAll(): Promise<WireResults> {
  if (values.teacher === undefined || values.camvid === undefined) {
    throw new Error('--teacher and --camvid are wanted: a model file and the folder of CamVid');
  }
  const started = new Date();
  const codings = SIZES.map((size) => measureCoding(size, Number(values.rounds)));
  say('bytes and time measured');
  const teacher = TeacherNetwork.load(await readFile(values.teacher));
  const accuracies = await measureStudents(teacher, values.camvid);
  const { model, digest } = teacher.info;
  const results: WireResults = {
    date: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    machine: machine(),
    threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism(),
    engines: { cirkd: `TensorFlow ${engineInfo().tensorflow}` },
    teacher: `${model} (${digest.slice(0, 19)}…)`,
    dataset: 'CamVid val',
    codings,
    accuracies,
  };
  await keepResults(values.results, results);
  return results;
}

async function measureStudents(teacher: TeacherNetwork, root: string): Promise<Accuracy[]> {
  const dataset = openDataset({ kind: 'camvid', root, split: 'val' });
  const { height, width } = await dataset.load(0);
  const { classes, featureChannels: teacherChannels } = teacher.info;
  const sizes = { classes, teacherChannels, height, width };
  const students: [string, string | null][] = [['DeepLabV3-ResNet-18, drawn at random', null]];
  if (values.student !== undefined) {
    students.push(['the network of --student, trained', values.student]);
  }
  const accuracies: Accuracy[] = [];
  for (const [name, file] of students) {
    const student = await benchStudent(name, file, sizes);
    accuracies.push(await measureAccuracy(teacher, student, dataset, Number(values.batches)));
    say(`${name}: measured`);
  }
  return accuracies;
}
