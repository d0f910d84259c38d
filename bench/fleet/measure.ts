/** The parts of this bench: one process or two, waiting, scaling. */
import { join } from 'node:path';
import { STREET_CLASSES } from '../../src/data/streets/classes.js';
import { writeUntrainedModel } from '../../test/support/modelFiles/untrainedModel.js';
import type { PrefetchResult, RemoteResult, ScalingResult, WaitingResult } from './results.js';
import { engineOnCpu, type MeasuredProcess, startSide } from '../support/measuredProcess.js';
import { scratchFolder, withOpened } from '../support/opened.js';
import { inRounds } from '../support/rounds.js';
import type { PullAnswer, PullRequest, StepsAnswer } from './pullSide.js';
import { checkpointTeacher, type SimulatedSize, simulatedTeachers } from './teachers.js';
import type { TrainAnswer, TrainRequest, TrainTask } from './trainSide.js';

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
  return withOpened(async (open) => {
    const model = join((await open(scratchFolder())).path, 'teacher.safetensors');
    writeUntrainedModel(model, 1);
    const teachers = await open(checkpointTeacher(model));
    const classNames = STREET_CLASSES.map(([name]) => name);
    const task = { model, teacherChannels: TEACHER_CHANNELS, classNames, height, width };
    const address = teachers.addresses[0]!;
    const one = await open(startStudent('trainSide.ts', { ...task, address: null }));
    const two = await open(startStudent('trainSide.ts', { ...task, address }));
    const [alone, apart] = await inRounds(
      [[one, two]],
      {
        ...{ rounds: trainRounds, warmUp: 1, alternating: true },
        after: (_, round) => say(`one process or two: round ${round} of ${trainRounds}`),
      },
      (side) => side.ask<TrainAnswer>({ steps: trainSteps } satisfies TrainRequest),
    );
    return {
      ...{ height, width },
      onePerSecond: alone!.map((each) => each.imagesPerSecond),
      twoPerSecond: apart!.map((each) => each.imagesPerSecond),
      oneWaiting: alone!.map((each) => each.waiting),
      twoWaiting: apart!.map((each) => each.waiting),
    };
  });
}

/** Resolves once the process is ready. */
async function startStudent(
  file: 'trainSide.ts' | 'pullSide.ts',
  task: TrainTask | SimulatedSize,
): Promise<MeasuredProcess> {
  const side = startSide(import.meta.url, file, [JSON.stringify(task)], engineOnCpu());
  await side.first();
  return side;
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
  return withOpened(async (open) => {
    const teachers = await open(simulatedTeachers(most, size));
    say(`${most} teachers run`);
    const side = await open(startStudent('pullSide.ts', size));
    const pull = (addresses: readonly string[], imagesEach: number) => {
      const request: PullRequest = { do: 'pull', addresses, imagesEach };
      return side.ask<PullAnswer>(request);
    };
    await pull(teachers.addresses, 1);
    const rates = await inRounds([counts], { rounds: amount.scalingRounds }, async (count) => {
      const addresses = teachers.addresses.slice(0, count);
      const { imagesPerSecond } = await pull(addresses, amount.imagesEach);
      say(`${count} teachers: ${imagesPerSecond.toFixed(2)} images/s`);
      return imagesPerSecond;
    });
    const prefetch = await measureWaiting(side, amount, teachers.addresses, say);
    const { waitingSteps: steps } = amount;
    return {
      scaling: counts.map((count, i) => ({ teachers: count, imagesPerSecond: rates[i]! })),
      waiting: { teachers: most, stepMs: STEP_MS, steps, prefetch },
    };
  });
}

async function measureWaiting(
  student: MeasuredProcess,
  { waitingRounds, waitingSteps }: Amount,
  addresses: readonly string[],
  say: Say,
): Promise<PrefetchResult[]> {
  const shares = await inRounds(
    [PREFETCH_STEPS],
    { rounds: waitingRounds },
    async (prefetchSteps) => {
      const how = { steps: waitingSteps + 1, stepMs: STEP_MS, prefetchSteps };
      const request: PullRequest = { do: 'steps', addresses, ...how };
      const { seconds } = await student.ask<StepsAnswer>(request);
      const share = seconds.teacher / seconds.total;
      say(`${prefetchSteps} steps ahead: waited ${(100 * share).toFixed(2)} %`);
      return share;
    },
  );
  return PREFETCH_STEPS.map((prefetchSteps, i) => ({ prefetchSteps, share: shares[i]! }));
}
