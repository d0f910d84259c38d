/**
 * The ways in which a teacher's answer can travel: bytes, time, and what each does to each loss and
 * its gradient, with a real teacher on real images.
 *
 *     node --import tsx bench/wire/main.ts --teacher TEACHER.safetensors --camvid CAMVID \
 *       --student STUDENT.safetensors --out docs/wire.md
 *
 * The options of all benches: bench/support/bench.ts.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { UsageError } from '../../services/cli/command.js';
import { openDataset } from '../../src/data/datasets.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { engineInfo } from '../../src/tensor/index.js';
import { runBench } from '../support/bench.js';
import { text, wholeNumber } from '../support/options.js';
import { type Accuracy, measureAccuracy } from './accuracy.js';
import { type Coding, measureCoding } from './coding.js';
import { benchStudent } from './students.js';
import { WIRE_PAGE } from './table.js';

/** A crop of 512x1024 with the largest feature there is, and CamVid's images whole. */
const SIZES = [
  { height: 64, width: 128, classes: 19, channels: 512 },
  { height: 45, width: 60, classes: 11, channels: 128 },
] as const;

await runBench({
  name: 'wire',
  options: {
    teacher: text.describe('a model file'),
    camvid: text.describe('the folder of CamVid'),
    student: text.describe('a model file of a student that has learnt, measured besides'),
    batches: wholeNumber(6),
    rounds: wholeNumber(15),
  },
  plan({ teacher: file, camvid, student, batches, rounds }) {
    if (file === undefined || camvid === undefined) {
      const wanted = 'a model file and the folder of CamVid';
      throw new UsageError(`--teacher and --camvid are wanted: ${wanted}`);
    }
    return {
      sections: ['wire'],
      threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism(),
      async measure({ engines, say }) {
        const codings: Coding[] = [];
        for (const size of SIZES) codings.push(await measureCoding(size, rounds));
        say('bytes and time measured');
        const teacher = TeacherNetwork.load(await readFile(file));
        const accuracies = await measureStudents(teacher, camvid, student, batches, say);
        engines.cirkd = `TensorFlow ${engineInfo().tensorflow}`;
        const { model, digest } = teacher.info;
        return {
          teacher: `${model} (${digest.slice(0, 19)}…)`,
          dataset: 'CamVid val',
          codings,
          accuracies,
        };
      },
    };
  },
  page: WIRE_PAGE,
});

/** @param file of a student that has learnt; a drawn one is measured besides */
async function measureStudents(
  teacher: TeacherNetwork,
  root: string,
  file: string | undefined,
  batches: number,
  say: (text: string) => void,
): Promise<Accuracy[]> {
  const dataset = openDataset({ kind: 'camvid', root, split: 'val' });
  const { height, width } = await dataset.load(0);
  const { classes, featureChannels: teacherChannels } = teacher.info;
  const sizes = { classes, teacherChannels, height, width };
  const students: [string, string | null][] = [['DeepLabV3-ResNet-18, drawn at random', null]];
  if (file !== undefined) students.push(['the network of --student, trained', file]);
  const accuracies: Accuracy[] = [];
  for (const [name, model] of students) {
    const student = await benchStudent(name, model, sizes);
    accuracies.push(await measureAccuracy(teacher, student, dataset, batches));
    say(`${name}: measured`);
  }
  return accuracies;
}
