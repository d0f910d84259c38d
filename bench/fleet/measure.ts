/** The parts of this bench: one process or two, waiting, scaling. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STREET_CLASSES } from '../../src/data/streets/classes.js';
import { writeUntrainedModel } from '../../test/support/untrainedModel.js';
import type { PrefetchResult, RemoteResult, ScalingResult, WaitingResult } from './results.js';
import { PullingStudent, TrainingStudent } from './students.js';
import { type SimulatedSize, Teachers } from './teachers.js';

export interface Amount {
  /** One process beside two: rounds, and steps in each. */
  readonly trainRounds: number;
  readonly trainSteps: number;
  readonly waitingRounds: number;
  readonly waitingSteps: number;
  readonly scalingRounds: number;
  /** Images of each teacher in a round. */
  readonly imagesEach: number;
}

type Say = (text: string) => void;

/** Channels of the feature of DeepLab with MobileNetV2. */
const TEACHER_CHANNELS = 256;

export async function measureRemote(
  { trainRounds, trainSteps }: Amount,
  { height, width }: { readonly height: number; readonly width: number },
  say: Say,
): Promise<RemoteResult> {
  const folder = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  const open: { close(): Promise<void> }[] = [];
  const opened = <T extends { close(): Promise<void> }>(one: T): T => {
    open.push(one);
    return one;
  };
  try {
    const model = join(folder, 'teacher.safetensors');
    writeUntrainedModel(model, 1);
    const teachers = opened(await Teachers.checkpoint(model));
    const classNames = STREET_CLASSES.map(([name]) => name);
    const task = { model, teacherChannels: TEACHER_CHANNELS, classNames, height, width };
    const one = opened(
      await TrainingStudent.start({ ...task, where: 'one process', address: null }),
    );
    const two = opened(
      await TrainingStudent.start({
        ...{ ...task, where: 'two processes', address: teachers.addresses[0]! },
      }),
    );
    const sides = { one: [] as Measured[], two: [] as Measured[] };
    const turn = async (side: TrainingStudent, into: Measured[]) =>
      into.push(await side.train(trainSteps));
    // The first round warms up.
    for (let round = 0; round <= trainRounds; round++) {
      const turns = [() => turn(one, sides.one), () => turn(two, sides.two)];
      for (const each of round % 2 === 0 ? turns : turns.toReversed()) await each();
      say(`one process or two: round ${round} of ${trainRounds}`);
    }
    const of = (side: Measured[], part: keyof Measured) => side.slice(1).map((each) => each[part]);
    return {
      ...{ height, width },
      onePerSecond: of(sides.one, 'imagesPerSecond'),
      twoPerSecond: of(sides.two, 'imagesPerSecond'),
      oneWaiting: of(sides.one, 'waiting'),
      twoWaiting: of(sides.two, 'waiting'),
    };
  } finally {
    for (const each of open.reverse()) await each.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Measured {
  readonly imagesPerSecond: number;
  readonly waiting: number;
}

const STEP_MS = 100;

/** The student's default, and what hides a teacher's latency of four steps. */
const PREFETCH_STEPS = [2, 8];

export interface FleetMeasured {
  readonly scaling: ScalingResult[];
  readonly waiting: WaitingResult;
}

/** @param counts of teachers, rising; the largest fleet is "ample" for the waiting */
export async function measureFleet(
  amount: Amount,
  size: SimulatedSize,
  counts: readonly number[],
  say: Say,
): Promise<FleetMeasured> {
  const most = counts.at(-1)!;
  const teachers = await Teachers.simulated(most, size);
  say(`${most} teachers run`);
  let student: PullingStudent | undefined;
  try {
    student = await PullingStudent.start({ size });
    await student.pull({ addresses: teachers.addresses, imagesEach: 1 });
    const scaling = counts.map((count) => ({ teachers: count, imagesPerSecond: [] as number[] }));
    for (let round = 0; round < amount.scalingRounds; round++) {
      for (const each of scaling) {
        const addresses = teachers.addresses.slice(0, each.teachers);
        const { imagesEach } = amount;
        const { imagesPerSecond } = await student.pull({ addresses, imagesEach });
        each.imagesPerSecond.push(imagesPerSecond);
        say(`${each.teachers} teachers: ${imagesPerSecond.toFixed(2)} images/s`);
      }
    }
    const prefetch = await measureWaiting(student, amount, teachers.addresses, say);
    const { waitingSteps: steps } = amount;
    return { scaling, waiting: { teachers: most, stepMs: STEP_MS, steps, prefetch } };
  } finally {
    await student?.close();
    await teachers.close();
  }
}

async function measureWaiting(
  student: PullingStudent,
  { waitingRounds, waitingSteps }: Amount,
  addresses: readonly string[],
  say: Say,
): Promise<PrefetchResult[]> {
  const results = PREFETCH_STEPS.map((prefetchSteps) => ({
    prefetchSteps,
    share: [] as number[],
  }));
  for (let round = 0; round < waitingRounds; round++) {
    for (const { prefetchSteps, share } of results) {
      const request = { addresses, steps: waitingSteps + 1, stepMs: STEP_MS, prefetchSteps };
      const { seconds } = await student.steps(request);
      share.push(seconds.teacher / seconds.total);
      say(`${prefetchSteps} steps ahead: waited ${(100 * share.at(-1)!).toFixed(2)} %`);
    }
  }
  return results;
}
