/**
 * What a step costs whose answers come from the store, beside one whose answers are there at once: the
 * same network, the same crops, in turns.
 *
 *     node --import tsx bench/answers/main.ts [--rounds 9] [--steps 8] [--height 128] [--width 256]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import { configOf } from '../../services/cli/bench/workload.js';
import { startComputing } from '../../services/student/computeProtocol.js';
import { silentAnswerHooks } from '../../src/answers/answerHooks.js';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { expectedOutputs } from '../../src/stream/codec/outputShapes.js';
import { StoredTeacher } from '../../src/answers/storedTeacher.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { Feed } from '../../src/train/feed.js';
import { runLoop } from '../../src/train/loop.js';
import { readOptions, wholeNumber } from '../support/options.js';
import { runMain, say } from '../support/program.js';
import { inRounds } from '../support/rounds.js';
import { median, ratioOfRounds } from '../support/statistics.js';
import { BANK_ROWS } from '../wire/students.js';
import { ImmediateTeacher, OUTPUTS } from './immediateTeacher.js';
import { CLASSES, differentBatches, STEP_IMAGES } from './differentBatches.js';

const OPTIONS = {
  rounds: wholeNumber(9),
  steps: wholeNumber(8),
  height: wholeNumber(128),
  width: wholeNumber(256),
};

/** Batches with different crops; then they come again. */
const BATCHES = 8;
const TEACHER_CHANNELS = 256;

interface Round {
  readonly stepMs: number;
  /** Share of the time that the loop waited for answers. */
  readonly waiting: number;
}

await runMain('bench:answers', async () => {
  expectBulkBuffers();
  const { rounds, steps, height, width } = readOptions(OPTIONS, process.argv.slice(2));
  const folder = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  const immediate = new ImmediateTeacher(CLASSES, TEACHER_CHANNELS);
  const store = await AnswerStore.open({
    ...{ directory: folder, maxBytes: 2 ** 34, hooks: silentAnswerHooks },
  });
  const stored = new StoredTeacher({
    ...{ teacher: immediate, store, hooks: silentAnswerHooks },
    form: {
      outputs: OUTPUTS,
      expectedFor: (size) => expectedOutputs(size, immediate.info, OUTPUTS),
      answerScope: '',
    },
  });
  const train = await trainer(height, width);
  try {
    // Fills the store.
    await train(stored, BATCHES);
    const asked = immediate.asked;
    const [atOnce, fromStore] = await inRounds(
      [[immediate, stored]],
      {
        ...{ rounds, warmUp: 1, alternating: true },
        after: (_, round) => say(`round ${round} of ${rounds}`),
      },
      (teacher) => train(teacher, steps),
    );
    const extra = immediate.asked - asked - (rounds + 1) * (steps + 1) * STEP_IMAGES;
    print(atOnce!, fromStore!, extra);
  } finally {
    await train.close();
    await stored.close();
    await rm(folder, { recursive: true });
  }
});

function print(atOnce: readonly Round[], fromStore: readonly Round[], asked: number): void {
  const ms = (side: readonly Round[]) => side.map(({ stepMs }) => stepMs);
  const { ratio, quartiles } = ratioOfRounds(ms(fromStore), ms(atOnce));
  const waiting = (side: readonly Round[]) =>
    (100 * median(side.map((round) => round.waiting))).toFixed(2);
  process.stdout.write(
    `${[
      `at once: ${median(ms(atOnce)).toFixed(1)} ms a step, waited ${waiting(atOnce)} %`,
      `from the store: ${median(ms(fromStore)).toFixed(1)} ms a step, waited ${waiting(fromStore)} %`,
      `ratio ${ratio.toFixed(3)}, of single rounds ${quartiles.map((each) => each.toFixed(3)).join(' to ')} (quartiles)`,
      `asked for though stored: ${asked}`,
    ].join('\n')}\n`,
  );
}

/** Trains one network on, with the answers of any teacher. */
async function trainer(height: number, width: number) {
  const config = configOf({
    ...({ model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' } as const),
    ...({ widthMultiplier: 0.5, images: STEP_IMAGES, loss: 'cirkd', bankRows: BANK_ROWS } as const),
    ...{ classes: CLASSES, height, width, teacherChannels: TEACHER_CHANNELS },
  });
  const thread = startComputing();
  const compute = thread.call;
  const classNames = Array.from({ length: CLASSES }, (_, k) => `class ${k}`);
  await compute.setup({
    ...{ config, classNames, state: null, startWeights: null },
    teacher: { featureChannels: TEACHER_CHANNELS, alignCorners: true, classifier: null },
  });
  let done = 0;
  const train = async (teacher: Teacher, steps: number): Promise<Round> => {
    const ends: number[] = [];
    const waits: number[] = [];
    const source = differentBatches(BATCHES, height, width);
    // One more than is measured: the first step waits for its answers with nothing to compute.
    const feed = new Feed(source, teacher, config.teacher.prefetchSteps, steps + 1);
    await runLoop({
      ...{ firstStep: done, steps: done + steps + 1, accumulateSteps: 1, feed, teacher, compute },
      stop: new AbortController().signal,
      afterStep({ seconds }) {
        ends.push(performance.now());
        waits.push(seconds.teacher * 1000);
      },
    });
    done += steps + 1;
    const ms = ends.at(-1)! - ends[0]!;
    const waited = waits.slice(1).reduce((total, each) => total + each, 0);
    return { stepMs: ms / steps, waiting: waited / ms };
  };
  return Object.assign(train, { close: () => thread.terminate() });
}
