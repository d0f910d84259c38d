/** Many students at real teachers, well-behaved and not: who gets what. Counts alone. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { OffenderResult } from '../support/load/offenders.js';
import { modestShare } from '../support/load/fairShare.js';
import { LoadProcess } from '../support/load/loadProcess.js';
import type { StudyResult } from '../support/load/student.js';
import { eventually } from '../support/eventually.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';
import { GrpcStatus } from '../../src/rpc/errors.js';

const processes: { kill(): void }[] = [];

afterEach(() => {
  for (const one of processes.splice(0)) one.kill();
});

async function startTeacher(...settings: string[]) {
  const all = ['simulate.enabled=true', 'simulate.featureChannels=64', ...settings];
  const teacher = new TeacherProcess(...all.flatMap((one) => ['--set', one]));
  processes.push(teacher);
  await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  return { port: grpcPort, address: `127.0.0.1:${grpcPort}`, metricsUrl };
}

test('of two students, one requesting four times as much, each gets half of two teachers', async (t) => {
  const teachers = await Promise.all([1, 2].map(() => startTeacher('simulate.latencyMs=10')));
  const share = await modestShare(
    teachers.map(({ address }) => address),
    500,
  );
  t.diagnostic(`${(100 * share).toFixed(1)} % for the modest one`);
  assert.ok(share >= 0.45 && share <= 0.55, `${share} of the answers for the modest one`);
});

test('beside clients that never read, grant nothing or never stop writing, 8 students lose no image', async (t) => {
  const { port, metricsUrl } = await startTeacher(
    ...['simulate.latencyMs=2', 'limits.maxAnswerMiB=64', 'limits.uploadCreditMiB=12'],
  );
  const load = <Result>(...job: ConstructorParameters<typeof LoadProcess>) => {
    const one = new LoadProcess<Result>(...job);
    processes.push(one);
    return one;
  };
  const offenders = (['neverReads', 'grantsNothing', 'neverStopsWriting'] as const).map(
    (offender) => load<OffenderResult>({ offender, port }),
  );
  const students = load<StudyResult>({
    studies: Array.from({ length: 8 }, (_, number) => ({ port, number, window: 3, images: 25 })),
  });
  const { asked, answered } = await students.result;
  assert.deepEqual([asked, answered], [200, 200]);
  const [reader, stingy, writer] = await Promise.all(offenders.map((one) => one.stop()));
  t.diagnostic(JSON.stringify({ reader, stingy, writer }));
  // Beyond its credit the stream ends; before that, images for which there is no room are refused.
  const ended = writer?.ends[GrpcStatus.RESOURCE_EXHAUSTED] ?? 0;
  assert.ok(ended + (writer?.refused ?? 0) > 0, 'the writer was never refused anything');
  // Whoever left, left nothing behind.
  await eventually(async () => (await metricOf(metricsUrl, 'cirkd_teacher_answer_bytes')) === 0);
  await eventually(async () => (await metricOf(metricsUrl, 'cirkd_teacher_queue_bytes')) === 0);
});
