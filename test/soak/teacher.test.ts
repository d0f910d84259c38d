/**
 * A teacher under load for CIRKD_SOAK_MINUTES (10): 32 students with images of mixed sizes, besides
 * one that never reads, one that grants nothing and one that never stops writing. No image may be
 * lost, and the teacher may not grow. What it prints is for docs/teacher.md.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { modestShare } from '../support/load/fairShare.js';
import { LoadProcess } from '../support/load/loadProcess.js';
import type { OffenderResult } from '../support/load/offenders.js';
import type { StudyResult } from '../support/load/student.js';
import { scraped, TeacherProcess } from '../support/teachers/teacherProcess.js';

const MINUTES = Number(process.env.CIRKD_SOAK_MINUTES ?? 10);
const SAMPLES = 60;
const STUDENTS = 32;
const MIB = 1_048_576;
/** Of the last third's highest resident memory over the middle third's. */
const MAX_GROWTH = 1.15;

const settings = [
  ...['simulate.enabled=true', 'simulate.featureChannels=128', 'simulate.latencyMs=4'],
  ...['limits.maxStreams=48', 'limits.maxQueueImages=128', 'limits.maxAnswerMiB=256'],
  ...['batch.maxImages=4', 'log.level=warn'],
];

const processes: { kill(): void }[] = [];

afterEach(() => {
  for (const one of processes.splice(0)) one.kill();
});

async function startTeacher(...more: string[]) {
  const teacher = new TeacherProcess(...[...settings, ...more].flatMap((one) => ['--set', one]));
  processes.push(teacher);
  const [, port, metricsUrl = ''] =
    /grpc 127\.0\.0\.1:(\d+), metrics ([^,]+),/.exec(await teacher.ready()) ?? [];
  return { teacher, port: Number(port), metricsUrl };
}

function load<Result>(...job: ConstructorParameters<typeof LoadProcess>): LoadProcess<Result> {
  const one = new LoadProcess<Result>(...job);
  processes.push(one);
  return one;
}

interface Sample {
  readonly minute: number;
  /** Answered since the start. */
  readonly images: number;
  readonly residentMiB: number;
  readonly heapMiB: number;
  readonly answerMiB: number;
  readonly lagP99Ms: number;
}

async function sampled(metricsUrl: string, minute: number): Promise<Sample> {
  // One scrape: the lag is that of the time since the one before.
  const of = await scraped(metricsUrl);
  return {
    minute,
    images: of('cirkd_teacher_images_total'),
    residentMiB: of('process_resident_memory_bytes') / MIB,
    heapMiB: of('nodejs_heap_size_used_bytes') / MIB,
    answerMiB: of('cirkd_teacher_answer_bytes') / MIB,
    lagP99Ms: of('nodejs_eventloop_lag_p99_seconds') * 1000,
  };
}

/** MiB a minute, by least squares. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [minute, resident] = [mean((one) => one.minute), mean((one) => one.residentMiB)];
  const covariance = mean((one) => (one.minute - minute) * (one.residentMiB - resident));
  return covariance / mean((one) => (one.minute - minute) ** 2);
}

const text = (values: readonly number[]) => values.map((value) => value.toFixed(0)).join(' ');
const most = (samples: readonly Sample[], key: keyof Sample) =>
  Math.max(...samples.map((sample) => sample[key]));

test(`${STUDENTS} students and three offenders for ${MINUTES} minutes`, async (t) => {
  const { teacher, port, metricsUrl } = await startTeacher();
  const offenders = (['neverReads', 'grantsNothing', 'neverStopsWriting'] as const).map(
    (offender) => load<OffenderResult>({ offender, port }),
  );
  const window = 2;
  const images = 1e9;
  const students = load<StudyResult>({
    studies: Array.from({ length: STUDENTS }, (_, number) => ({ port, number, window, images })),
  });
  const samples: Sample[] = [];
  for (let index = 1; index <= SAMPLES; index++) {
    const pause = setTimeout((MINUTES * 60_000) / SAMPLES, undefined, { ref: true });
    // A student that fails ends the test at once.
    await Promise.race([pause, students.result]);
    samples.push(await sampled(metricsUrl, (index * MINUTES) / SAMPLES));
  }
  const { asked, answered, refused, latenciesMs } = await students.stop();
  const ends = await Promise.all(offenders.map((one) => one.stop()));
  const quantile = (q: number) => latenciesMs[Math.floor(q * latenciesMs.length)] ?? Number.NaN;
  const middle = samples.slice(SAMPLES / 3, (2 * SAMPLES) / 3);
  const last = samples.slice((2 * SAMPLES) / 3);
  t.diagnostic(`asked ${asked}, answered ${answered}, refused and asked again ${refused}`);
  t.diagnostic(`images/s ${(answered / MINUTES / 60).toFixed(1)}`);
  t.diagnostic(`latency ms: p50 ${text([quantile(0.5)])}, p99 ${text([quantile(0.99)])}`);
  t.diagnostic(
    `event-loop lag p99 ms, by sample: ${text(samples.map(({ lagP99Ms }) => lagP99Ms))}`,
  );
  t.diagnostic(`images answered, by sample: ${text(samples.map(({ images }) => images))}`);
  t.diagnostic(`resident MiB, by sample: ${text(samples.map((one) => one.residentMiB))}`);
  t.diagnostic(`heap MiB, by sample: ${text(samples.map(({ heapMiB }) => heapMiB))}`);
  t.diagnostic(`slope MiB/min: ${slope([...middle, ...last]).toFixed(2)}`);
  t.diagnostic(`answers held MiB: at most ${text([most(samples, 'answerMiB')])}`);
  t.diagnostic(`offenders: ${JSON.stringify(ends)}`);
  assert.equal(answered, asked);
  assert.equal(teacher.exitCode, undefined);
  const growth = most(last, 'residentMiB') / most(middle, 'residentMiB');
  assert.ok(growth <= MAX_GROWTH, `resident memory grew to ${growth} times`);
});

test('two students, one requesting four times as much, get half each of two teachers', async (t) => {
  const teachers = await Promise.all(
    [1, 2].map(() => startTeacher('simulate.latencyMs=20', 'batch.maxImages=1')),
  );
  const addresses = teachers.map(({ port }) => `127.0.0.1:${port}`);
  const share = await modestShare(addresses, 3000);
  t.diagnostic(`${(100 * share).toFixed(1)} % for the one that asks for less`);
  assert.ok(share >= 0.45 && share <= 0.55, `${share} of the answers`);
});
