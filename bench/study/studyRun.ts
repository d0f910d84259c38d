/** One finished student of a study: its scores, and what its steps took. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stepRecords } from '../../src/report/stepRecords.js';
import { readEvents } from '../../src/run/events.js';

export interface StudyRun {
  readonly seed: number;
  /** The variant's title. */
  readonly variant: string;
  /** Both 0..1. */
  readonly miou: number;
  readonly pixelAccuracy: number;
  readonly steps: number;
  /** Of all steps together: evaluation, start and end aside. */
  readonly seconds: Readonly<Record<'total' | 'data' | 'teacher' | 'compute', number>>;
}

/** Reads a run's folder; null where its summary isn't there yet. */
export async function readStudyRun(
  folder: string,
  { seed, variant }: Pick<StudyRun, 'seed' | 'variant'>,
): Promise<StudyRun | null> {
  const summary = await readIfThere(join(folder, 'summary.json'));
  if (summary === null) return null;
  const { baseline, cirkd } = JSON.parse(summary);
  const { miou, pixelAccuracy } = cirkd ?? baseline;
  const records = stepRecords(await readEvents(join(folder, 'events.jsonl')));
  const sum = (phase: keyof StudyRun['seconds']) =>
    records.reduce((total, { seconds }) => total + seconds[phase], 0);
  const seconds = {
    total: sum('total'),
    data: sum('data'),
    teacher: sum('teacher'),
    compute: sum('compute'),
  };
  return { seed, variant, miou, pixelAccuracy, steps: records.length, seconds };
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
