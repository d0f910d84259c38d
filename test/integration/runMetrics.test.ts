/** /metrics of both services, scraped while a run goes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-metrics-'));
after(() => rmSync(folder, { recursive: true }));

const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region', 'total'];

/** By the line's name and labels, as Prometheus reads them. */
type Scrape = ReadonlyMap<string, number>;

async function scrape(url: string): Promise<Scrape> {
  const text = await (await fetch(url)).text();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

const TEACHER_LINES = [
  /^cirkd_teacher_images_total$/,
  /^cirkd_teacher_requests_total\{code="OK"\}$/,
  /^cirkd_teacher_inference_seconds_(bucket\{le="[^"]+"\}|sum|count)$/,
  /^cirkd_teacher_queue_seconds_(bucket\{le="[^"]+"\}|sum|count)$/,
  /^cirkd_teacher_queue_images$/,
  /^cirkd_teacher_batch_images_(bucket\{le="[^"]+"\}|sum|count)$/,
  /^cirkd_teacher_sent_bytes_total\{encoding="fp16"\}$/,
  /^cirkd_teacher_streams$/,
  /^cirkd_teacher_info\{digest="sha256:[0-9a-f]{64}",numeric_mode="fp32"\}$/,
  /^nodejs_eventloop_lag_p99_seconds$/,
];

const STUDENT_LINES = [
  /^cirkd_student_steps_total$/,
  /^cirkd_student_images_total$/,
  /^cirkd_student_step_seconds_(bucket\{le="[^"]+"\}|sum|count)$/,
  ...['data', 'teacher', 'compute'].map(
    (phase) => new RegExp(`^cirkd_student_phase_seconds_total\\{phase="${phase}"\\}$`),
  ),
  ...TERMS.map((term) => new RegExp(`^cirkd_student_loss\\{term="${term}"\\}$`)),
  /^cirkd_student_learning_rate$/,
  /^cirkd_student_received_bytes_total$/,
  /^cirkd_student_inflight_bytes$/,
  /^cirkd_student_requeued_total\{reason="nonfinite"\}$/,
  /^cirkd_student_nonfinite_total$/,
  /^cirkd_student_last_step_timestamp_seconds$/,
  /^cirkd_student_miou$/,
  /^cirkd_student_evaluated_ratio$/,
  /^cirkd_student_pixel_accuracy$/,
  /^cirkd_memory_bank_fill_ratio\{bank="pixel"\}$/,
  /^cirkd_memory_bank_fill_ratio\{bank="region"\}$/,
  /^nodejs_eventloop_lag_p99_seconds$/,
];

function assertLines(scraped: Scrape, wanted: readonly RegExp[]): void {
  const names = [...scraped.keys()];
  for (const line of wanted) {
    assert.ok(
      names.some((name) => line.test(name)),
      `${line} is not among\n${names.join('\n')}`,
    );
  }
}

test('every metric is exposed on both sides, and terms and counters change', async (t) => {
  const model = tinyTeacher(folder);
  const faults = ['--set', 'faults.nonFiniteEvery=5'];
  const teacher = new TeacherProcess('--checkpoint', model, '--set', 'threads=2', ...faults);
  t.after(() => teacher.kill());
  await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  const settings = [
    ...['run.id=scraped', `teacher.addresses=["127.0.0.1:${grpcPort}"]`],
    // Far more than the test waits for: it stops the run.
    ...['train.steps=100000', 'run.checkpointEverySteps=0', 'run.evaluateEverySteps=30'],
  ];
  const flags = settings.flatMap((one) => ['--set', one]);
  const student = new CirkdProcess('student', '--config', tinyStudent(folder), ...flags);
  t.after(() => student.kill());
  const [, url = ''] = await student.says(/"url":"([^"]+)"/);
  await student.says(/step 2\/100000 /);
  const first = await scrape(url);
  const firstOfTeacher = await scrape(metricsUrl);
  assert.ok(Number.isNaN(first.get('cirkd_student_miou')), 'no evaluation yet');
  await student.says(/step 31\/100000 /);
  const second = await scrape(url);
  const secondOfTeacher = await scrape(metricsUrl);
  assertLines(second, STUDENT_LINES);
  assertLines(secondOfTeacher, TEACHER_LINES);

  const moving = ['steps_total', 'images_total', 'received_bytes_total', 'step_seconds_count'];
  const name = (end: string) => `cirkd_student_${end}`;
  for (const counter of [...moving, 'last_step_timestamp_seconds'].map(name)) {
    assert.ok(second.get(counter)! > first.get(counter)!, counter);
  }
  for (const term of TERMS) {
    const line = name(`loss{term="${term}"}`);
    assert.notEqual(second.get(line), first.get(line), term);
    assert.ok(Number.isFinite(second.get(line)), term);
  }
  const rate = name('learning_rate');
  assert.ok(second.get(rate)! < first.get(rate)!, rate);
  for (const line of ['miou', 'pixel_accuracy'].map(name)) {
    assert.ok(second.get(line)! >= 0 && second.get(line)! <= 1, `${line} ${second.get(line)}`);
  }
  assert.ok(second.get(name('requeued_total{reason="nonfinite"}'))! > 0, 'requeued');
  const fill = 'cirkd_memory_bank_fill_ratio{bank="pixel"}';
  assert.ok(second.get(fill)! > 0 && second.get(fill)! <= 1, `${fill} ${second.get(fill)}`);
  for (const counter of ['images_total', 'sent_bytes_total{encoding="fp16"}']) {
    const line = `cirkd_teacher_${counter}`;
    assert.ok(secondOfTeacher.get(line)! > firstOfTeacher.get(line)!, line);
  }
  assert.equal(secondOfTeacher.get('cirkd_teacher_streams'), 1);

  student.signal('SIGTERM');
  assert.equal(await student.exit(), 143, student.stderr);
});
