/**
 * A load as a process of its own: what it costs isn't the teacher's, nor the test's. Its one
 * argument is a LoadJob as JSON; when its input ends, or its images are answered, it prints its
 * result as JSON.
 */
import { OFFENDERS } from './offenders.js';
import { type StudyPlan, type StudyResult, study } from './student.js';

export type LoadJob =
  | { readonly offender: keyof typeof OFFENDERS; readonly port: number }
  | { readonly studies: readonly Omit<StudyPlan, 'signal'>[] };

const job = JSON.parse(process.argv[2] ?? '') as LoadJob;
const stop = new AbortController();
process.stdin.resume();
process.stdin.once('end', () => stop.abort());
const { signal } = stop;

function summed(results: readonly StudyResult[]): StudyResult {
  const sum = (key: 'asked' | 'answered' | 'refused') =>
    results.reduce((total, result) => total + result[key], 0);
  const latenciesMs = results.flatMap((result) => result.latenciesMs);
  return {
    ...{ asked: sum('asked'), answered: sum('answered'), refused: sum('refused') },
    latenciesMs: latenciesMs.sort((a, b) => a - b),
  };
}

const result =
  'offender' in job
    ? await OFFENDERS[job.offender](job.port, signal)
    : summed(await Promise.all(job.studies.map((plan) => study({ ...plan, signal }))));
process.stdout.write(JSON.stringify(result), () => process.exit(0));
