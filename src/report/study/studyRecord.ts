/** study.json: what a study has found so far, enough for its tables and curves without the runs' folders. */
import { z } from 'zod';

export const STUDY_FORMAT = 1;

const share = z.number().min(0).max(1);
const curve = z.array(z.tuple([z.number(), z.number()]));

const finishedRun = z.strictObject({
  variant: z.string(),
  seed: z.number().int(),
  state: z.literal('finished'),
  /** Of the last evaluation. */
  miou: share,
  pixelAccuracy: share,
  /** By class; null: it doesn't occur. */
  iou: z.record(z.string(), share.nullable()),
  steps: z.number().int(),
  /** Of all steps together: evaluation, start and end aside. */
  seconds: z.strictObject({
    total: z.number(),
    data: z.number(),
    teacher: z.number(),
    compute: z.number(),
  }),
  /** [step, mean IoU from 0 to 1] */
  evaluations: curve,
  /** [step, mean of the steps since the point before] */
  taskLoss: curve,
  /** null: trained on labels alone. */
  teacherDigest: z.string().nullable(),
});

const failedRun = z.strictObject({
  variant: z.string(),
  seed: z.number().int(),
  state: z.literal('failed'),
  /** null: ended by the signal. */
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  lastLines: z.array(z.string()),
});

export const studyRecordSchema = z.strictObject({
  formatVersion: z.literal(STUDY_FORMAT),
  name: z.string(),
  /** By variant. */
  variants: z.record(
    z.string(),
    z.strictObject({
      title: z.string(),
      isTaught: z.boolean(),
      /** The student's whole config, without what a run decides. */
      config: z.record(z.string(), z.unknown()),
      /** Of the teachers of its runs; null: none had any yet. */
      teacherDigest: z.string().nullable(),
    }),
  ),
  /** sha256 of the files that runs begin from, by path, and the digests of their datasets, by variant and key. */
  files: z.record(z.string(), z.string()),
  /** Threads of own teachers; null: there are none. */
  teacherThreads: z.number().int().nullable(),
  runs: z.array(z.discriminatedUnion('state', [finishedRun, failedRun])),
});

export type StudyRecord = z.infer<typeof studyRecordSchema>;
export type FinishedRun = z.infer<typeof finishedRun>;
export type FailedRun = z.infer<typeof failedRun>;
export type StudyRun = FinishedRun | FailedRun;

/** What a study is about, and what it has found so far: the content of its tables and report. */
export interface StudyResults {
  readonly name: string;
  /** In the order of the tables. */
  readonly variants: readonly { readonly name: string; readonly title: string }[];
  /** Name of the variant that the others are compared with. */
  readonly baseline: string;
  readonly seeds: readonly number[];
  readonly runs: readonly StudyRun[];
}

export function runOf(
  { runs }: Pick<StudyResults, 'runs'>,
  variant: string,
  seed: number,
): StudyRun | undefined {
  return runs.find((run) => run.variant === variant && run.seed === seed);
}

/** A variant's finished runs, in the order of the seeds. */
export function finishedRuns(results: StudyResults, variant: string): FinishedRun[] {
  return results.seeds.flatMap((seed) => {
    const run = runOf(results, variant, seed);
    return run?.state === 'finished' ? [run] : [];
  });
}

/** Failed runs of the study's variants and seeds. */
export function failedRuns(results: StudyResults): FailedRun[] {
  return results.variants.flatMap(({ name }) =>
    results.seeds.flatMap((seed) => {
      const run = runOf(results, name, seed);
      return run?.state === 'failed' ? [run] : [];
    }),
  );
}

/** Seed by seed where both have finished: the variant's value minus the baseline's. */
export function differences(
  results: StudyResults,
  variant: string,
  figureOf: (run: FinishedRun) => number | null,
): number[] {
  const others = finishedRuns(results, results.baseline);
  return finishedRuns(results, variant).flatMap((run) => {
    const other = others.find(({ seed }) => seed === run.seed);
    const [a, b] = [figureOf(run), other === undefined ? null : figureOf(other)];
    return a === null || b === null ? [] : [a - b];
  });
}
