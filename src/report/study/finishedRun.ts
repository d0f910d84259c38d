/** A run's folder as an entry of a study's results. */
import { readReportSource } from '../source.js';
import type { StepRecord } from '../stepRecords.js';
import type { FinishedRun } from './studyRecord.js';

/** Points of a stored loss curve, at most. */
const LOSS_POINTS = 100;

/** Throws Error if the run hasn't reached its end, RunFolderError if there is no run. */
export async function readFinishedRun(
  path: string,
  { variant, seed }: Pick<FinishedRun, 'variant' | 'seed'>,
): Promise<FinishedRun> {
  const { steps, evaluations, classNames, teacher, isFinished } = await readReportSource(path);
  const last = evaluations.at(-1);
  if (!isFinished || last === undefined) throw new Error(`${path}: the run isn't finished`);
  const sum = (phase: 'total' | 'data' | 'teacher' | 'compute') =>
    steps.reduce((total, { seconds }) => total + seconds[phase], 0);
  const digest = teacher?.['digest'];
  return {
    ...{ variant, seed, state: 'finished' },
    miou: last.miou,
    pixelAccuracy: last.pixelAccuracy,
    iou: Object.fromEntries(
      (last.iou ?? []).map((iou, k) => [classNames?.[k] ?? `class ${k}`, iou]),
    ),
    steps: steps.length,
    seconds: {
      ...{ total: sum('total'), data: sum('data') },
      ...{ teacher: sum('teacher'), compute: sum('compute') },
    },
    evaluations: evaluations.map(({ step, miou }) => [step, miou]),
    taskLoss: lossCurve(steps),
    teacherDigest: typeof digest === 'string' ? digest : null,
  };
}

/** Means over stretches of equal length, each at its last step. */
function lossCurve(steps: readonly StepRecord[]): [number, number][] {
  const length = Math.ceil(steps.length / LOSS_POINTS);
  const points: [number, number][] = [];
  for (let at = 0; at < steps.length; at += length) {
    const stretch = steps.slice(at, at + length);
    const values = stretch.map(({ terms }) => terms['task'] ?? Number.NaN);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    if (Number.isFinite(mean)) points.push([stretch.at(-1)!.step, mean]);
  }
  return points;
}
