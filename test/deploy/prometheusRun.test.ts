/**
 * A real Prometheus scrapes a student of two ranks and two teachers while they train: every query that we ship
 * has an answer, and what should move does.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeReport } from '../../src/report/writeReport.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { eventually } from '../support/eventually.js';
import {
  panelQueries,
  rules,
  rulesText,
  scaler,
  selectorsIn,
} from '../support/deploy/monitoringFiles.js';
import { panelCharts } from '../support/deploy/panelCharts.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { PROMETHEUS } from '../support/tools/goModules.js';
import { goPrograms } from '../support/tools/goProgram.js';
import { PrometheusServer } from '../support/tools/prometheusServer.js';

/** The machine may be slow: many scrapes, and some steps, in each. */
const WINDOW = '30s';
const SLOW_MS = 180_000;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-prometheus-run-'));
const processes: { kill(): void }[] = [];
let prometheus: PrometheusServer;
let teacherUrls: string[];
let studentUrls: string[];
let student: CirkdProcess | undefined;

const host = (url: string) => new URL(url).host;

before(async () => {
  const model = tinyTeacher(folder);
  // Each shows one kind of trouble now and then.
  const faults = ['faults.nonFiniteEvery=7', 'faults.failEvery=11'];
  const teachers = faults.map(
    (fault) =>
      new TeacherProcess(
        ...['--checkpoint', model, '--set', 'threads=1', '--set', fault],
        ...['--set', 'cache.memoryMiB=8'],
      ),
  );
  processes.push(...teachers);
  const ports: string[] = [];
  teacherUrls = [];
  for (const teacher of teachers) {
    await teacher.ready();
    const { grpcPort, metricsUrl } = await teacher.listening();
    ports.push(`"127.0.0.1:${grpcPort}"`);
    teacherUrls.push(metricsUrl);
    processes.push(inferenceClient(grpcPort));
  }
  const settings = [
    ...['run.id=watched', `teacher.addresses=[${ports}]`],
    // Far more than the test waits for: it stops the run.
    ...['train.steps=100000', 'run.checkpointEverySteps=0', 'run.evaluateEverySteps=10'],
  ];
  const flags = settings.flatMap((one) => ['--set', one]);
  const group = ['--config', tinyStudent(folder), '--workers', '2', ...flags];
  const started = new CirkdProcess('student', ...group);
  student = started;
  studentUrls = await Promise.all(
    [0, 1].map(async (rank) => {
      const line = new RegExp(`^\\[rank ${rank}\\] .*"url":"([^"]+)"`, 'm');
      return (await started.says(line))[1]!;
    }),
  );
  prometheus = await PrometheusServer.start(
    [
      { name: 'cirkd-student', targets: studentUrls.map(host) },
      { name: 'cirkd-teacher', targets: teacherUrls.map(host) },
    ],
    rulesText({ window: WINDOW }),
  );
  await started.says(/"msg":"evaluation"/);
});
after(async () => {
  // Killed, it could not end its ranks.
  student?.signal('SIGTERM');
  await student?.exit();
  for (const each of processes) each.kill();
  await prometheus?.close();
  rmSync(folder, { recursive: true });
});

/** A client of another program that asks for one picture again and again, and for new ones, which may fail. */
function inferenceClient(port: number): { kill(): void } {
  const peer = new OipPeer(port);
  let shade = 0;
  const timer = setInterval(() => {
    shade = (shade + 1) % 256;
    for (const each of [0, shade])
      void peer.infer(inferRequest({ shades: [each], size: [32, 64] }));
  }, 250);
  return {
    kill() {
      clearInterval(timer);
      peer.close();
    },
  };
}

async function assertAnswered(expr: string, name: string): Promise<void> {
  let count = 0;
  await eventually(async () => {
    count = (await prometheus.query(expr)).length;
    return count > 0;
  }, SLOW_MS).catch(() => assert.fail(`${name}: no series for ${expr}`));
}

test('all four are scraped, and every rule is evaluated without an error', async () => {
  await eventually(async () => {
    const up = await prometheus.query('up');
    return up.length === 4 && up.every(({ value }) => value === 1);
  }, SLOW_MS);
  assert.deepEqual(
    (await prometheus.ruleErrors()).filter((error) => error !== ''),
    [],
  );
});

test('every query of the dashboard has at least one series', async () => {
  for (const { panel, expr } of panelQueries(WINDOW)) await assertAnswered(expr, panel);
});

test('every rule: what it records, what its alert compares; the query of the scaler', async () => {
  for (const { record, alert, expr } of rules()) {
    // An alert's comparison has series only while it fires; what it compares has them always.
    for (const wanted of record === undefined ? selectorsIn(expr) : [record]) {
      await assertAnswered(wanted, record ?? alert!);
    }
  }
  await assertAnswered(scaler('test').query, 'scaler');
  const [wanted] = await prometheus.query(scaler('test').query);
  assert.ok(wanted!.value > 0 && wanted!.value < 100, `${wanted!.value} teachers`);
  let names: (string | undefined)[] = [];
  // Two scrapes with a NaN between them, and an evaluation of the rules, may be yet to come.
  await eventually(async () => {
    const firing = await prometheus.query('ALERTS{alertstate="firing"}');
    names = [...new Set(firing.map(({ metric }) => metric['alertname']))];
    return names.length > 0;
  }, SLOW_MS);
  // The teacher's NaNs on purpose are seen; nothing else is wrong.
  assert.deepEqual(names, ['CirkdReplyNotFinite']);
});

/** Of rank 0, and most of them of both ranks. */
const MOVING = [
  ...['cirkd_student_steps_total', 'cirkd_student_images_total', 'cirkd_student_run_step'],
  ...['data', 'teacher', 'compute', 'collectives'].map(
    (p) => `cirkd_student_phase_seconds_total{phase="${p}"}`,
  ),
  ...['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region', 'total'].map(
    (term) => `cirkd_student_loss{term="${term}"}`,
  ),
  ...['cirkd_student_learning_rate', 'cirkd_student_received_bytes_total'],
  ...['cirkd_student_last_step_timestamp_seconds', 'cirkd_student_step_seconds_count'],
  ...['cirkd_student_inflight_bytes', 'cirkd_student_miou', 'cirkd_student_nonfinite_total'],
  'cirkd_student_requeued_total{reason="nonfinite"}',
  'cirkd_student_requeued_total{reason="error"}',
  'cirkd_student_collective_bytes_total{kind="all_reduce"}',
  'cirkd_student_collective_bytes_total{kind="all_gather"}',
  ...['0', '1'].map((peer) => `cirkd_student_rank_lag_seconds_total{peer="${peer}"}`),
  ...['cirkd_teacher_images_total', 'cirkd_teacher_requests_total{code="OK"}'],
  ...['cirkd_teacher_inference_seconds_sum', 'cirkd_teacher_queue_seconds_sum'],
  ...['cirkd_teacher_batch_images_count', 'cirkd_teacher_sent_bytes_total{encoding="fp16"}'],
  'process_cpu_seconds_total',
];

test('what should move moves: of the student, and of both teachers', async () => {
  for (const selector of MOVING) {
    const processes = selector.startsWith('cirkd_teacher') ? 2 : 1;
    let moved = 0;
    await eventually(async () => {
      moved = (await prometheus.query(`changes(${selector}[5m]) > 0`)).length;
      return moved >= processes;
    }, SLOW_MS).catch(() => assert.fail(`${selector} moved in ${moved} of ${processes}`));
  }
});

test('every panel can be drawn from what the server has', async () => {
  const charts = await panelCharts(prometheus, 60, WINDOW);
  const points = (chart: (typeof charts)[number]) =>
    chart.series.flatMap((series) => series.points).filter(([, value]) => Number.isFinite(value));
  const empty = charts.filter((chart) => points(chart).length === 0).map(({ title }) => title);
  // Without TLS there is no certificate to end.
  assert.deepEqual(empty, ['Certificate ends in']);
  // For a look: CIRKD_PANELS=FOLDER.
  const kept = process.env['CIRKD_PANELS'];
  const table = { columns: ['panels'], rows: [[String(charts.length)]] };
  const report = { title: 'Panels', table, charts, pictures: null, details: [] };
  if (kept !== undefined) await writeReport(kept, report);
});

test('promtool check metrics takes what each of them serves', async () => {
  const promtool = join(await goPrograms(PROMETHEUS), 'promtool');
  for (const url of [...studentUrls, ...teacherUrls]) {
    const text = await (await fetch(url)).text();
    const { code, output } = await withInput(promtool, ['check', 'metrics'], text);
    assert.equal(code, 0, `${url}: ${output}`);
  }
  const bad = '# TYPE cirkd_things_total gauge\ncirkd_things_total 1\n';
  const { code, output } = await withInput(promtool, ['check', 'metrics'], bad);
  assert.notEqual(code, 0, `promtool sees nothing: ${output}`);
});

function withInput(program: string, args: string[], input: string) {
  const child = spawn(program, args);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      output += text;
    });
  }
  child.stdin.end(input);
  return new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
