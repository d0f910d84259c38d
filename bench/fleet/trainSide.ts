/** A student that trains, its teacher in the same process or in another one. */
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import { configOf } from '../../services/cli/bench/workload.js';
import { startComputing } from '../../services/student/computeProtocol.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { Feed } from '../../src/train/feed.js';
import { runLoop } from '../../src/train/loop.js';
import { connectBench } from '../support/benchTeacher.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import { BANK_ROWS } from '../wire/students.js';
import { startLocalTeacher } from './localTeacher.js';
import { madeBatches, STEP_IMAGES } from './madeBatches.js';

/** The program's argument. */
export interface TrainTask {
  /** The teacher's model file. */
  readonly model: string;
  readonly teacherChannels: number;
  readonly classNames: readonly string[];
  /** Of the teacher in another process; null: it is in this one. */
  readonly address: string | null;
  readonly height: number;
  readonly width: number;
}

export interface TrainRequest {
  readonly steps: number;
}

export interface TrainAnswer {
  readonly imagesPerSecond: number;
  /** Waited for the teacher, share of the time. */
  readonly waiting: number;
}

expectBulkBuffers();
const task = JSON.parse(process.argv[2]!) as TrainTask;
const { height, width, classNames, teacherChannels } = task;
const classes = classNames.length;
const config = configOf({
  ...({ model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' } as const),
  ...({ widthMultiplier: 1, images: STEP_IMAGES, loss: 'cirkd', bankRows: BANK_ROWS } as const),
  ...{ classes, height, width, teacherChannels },
});
const teacher = await openTeacher();
const { call: compute } = startComputing();
await compute.setup({
  ...{ config, classNames, state: null, startWeights: null },
  teacher: {
    featureChannels: teacher.info.featureChannels,
    alignCorners: teacher.info.alignCorners,
    classifier: teacher.classifier,
  },
});
const source = madeBatches(height, width, classes);
let done = 0;

sendLine({});
await answerRequests(async ({ steps }: TrainRequest): Promise<TrainAnswer> => {
  const { ends, teacherSeconds } = await train(steps + 1);
  // The first step waits for its answers, with nothing to compute meanwhile.
  const seconds = (ends.at(-1)! - ends[0]!) / 1000;
  const waited = teacherSeconds.slice(1).reduce((total, each) => total + each, 0);
  return { imagesPerSecond: (steps * STEP_IMAGES) / seconds, waiting: waited / seconds };
});

async function train(steps: number): Promise<{ ends: number[]; teacherSeconds: number[] }> {
  const ends: number[] = [];
  const teacherSeconds: number[] = [];
  const feed = new Feed(source, teacher, config.teacher.prefetchSteps, steps);
  await runLoop({
    ...{ firstStep: done, steps: done + steps, accumulateSteps: 1, feed, teacher, compute },
    stop: new AbortController().signal,
    afterStep({ seconds }) {
      ends.push(performance.now());
      teacherSeconds.push(seconds.teacher);
    },
  });
  done += steps;
  return { ends, teacherSeconds };
}

/** The other process with the student's default encoding, fp32: both compute the same. */
function openTeacher(): Promise<Teacher> {
  if (task.address === null) return startLocalTeacher(task.model, height, width);
  return connectBench([task.address], {
    ...({ encoding: 'fp32', logits: 'sent' } as const),
    expected: { outputStride: OUTPUT_STRIDE },
  });
}
