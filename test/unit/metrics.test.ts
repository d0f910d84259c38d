import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  MEMORY_METRIC_NAMES,
  STUDENT_METRIC_NAMES,
  STUDENT_STORE_METRIC_NAMES,
  TEACHER_CACHE_METRIC_NAMES,
  TEACHER_METRIC_NAMES,
  TLS_METRIC_NAMES,
} from '../../src/telemetry/metricNames.js';
import { ListenError, startMetricsServer } from '../../src/telemetry/metricsServer.js';
import { createStudentMetrics } from '../../src/telemetry/studentMetrics.js';
import { createTeacherMetrics } from '../../src/telemetry/teacherMetrics.js';

// The names, written out: renaming a metric must fail here.
const TEACHER =
  'images_total requests_total inference_seconds queue_seconds queue_images queue_bytes answer_bytes batch_images sent_bytes_total streams oip_requests_total oip_request_seconds info cache_hits_total cache_misses_total cache_evictions_total cache_bytes cache_answers cache_corrupted_total cache_write_failures_total';
const STUDENT =
  'info run_steps run_step teachers steps_total images_total step_seconds phase_seconds_total collective_bytes_total rank_lag_seconds_total rank_awaited_seconds loss learning_rate received_bytes_total inflight_bytes requeued_total unmatched_answers_total nonfinite_total last_step_timestamp_seconds evaluated_ratio miou pixel_accuracy store_hits_total store_misses_total store_evictions_total store_bytes store_answers store_corrupted_total store_write_failures_total';
const EXPIRY = 'cirkd_tls_certificate_expiry_timestamp_seconds';

const STEP = {
  images: 4,
  seconds: 2,
  phaseSeconds: { data: 0.25, teacher: 0.5, compute: 1.25 },
  losses: { task: 1.5, total: 2.5 },
  learningRate: 0.02,
  bankFill: { pixel: 0.5, region: 0.25 },
};

async function scrape(url: string): Promise<string> {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return response.text();
}

test('every metric is served over HTTP', async () => {
  const student = createStudentMetrics();
  const teacher = createTeacherMetrics();
  const wanted = [
    [teacher.registry, [...TEACHER.split(' ').map((name) => `cirkd_teacher_${name}`), EXPIRY]],
    [
      student.registry,
      [
        ...STUDENT.split(' ').map((name) => `cirkd_student_${name}`),
        'cirkd_memory_bank_fill_ratio',
        EXPIRY,
      ],
    ],
  ] as const;
  for (const [registry, names] of wanted) {
    const server = await startMetricsServer({ registry, host: '127.0.0.1', port: 0 });
    const text = await scrape(server.url);
    for (const name of [...names, 'nodejs_eventloop_lag_p99_seconds']) {
      assert.ok(text.includes(`# TYPE ${name} `), name);
    }
    await server.close();
  }
  const answers = [TEACHER_CACHE_METRIC_NAMES, STUDENT_STORE_METRIC_NAMES];
  const services = [TEACHER_METRIC_NAMES, STUDENT_METRIC_NAMES];
  const all = [...services, ...answers, MEMORY_METRIC_NAMES, TLS_METRIC_NAMES];
  const named = all.flatMap((names) => Object.values(names).map(({ name }) => name));
  const distinct = new Set<string>(wanted.flatMap(([, names]) => [...names]));
  assert.deepEqual(named.sort(), [...distinct].sort());
});

test('a step and an evaluation set the metrics', async () => {
  const metrics = createStudentMetrics();
  assert.match(await metrics.registry.metrics(), /^cirkd_student_miou NaN$/im);
  metrics.recordStep(STEP);
  metrics.recordStep({ ...STEP, losses: { task: 1, total: 2 } });
  metrics.recordEvaluated(0.25);
  metrics.recordEvaluation({ miou: 0.5, pixelAccuracy: 0.75 });
  metrics.requeued.inc({ reason: 'timeout' });
  const text = await metrics.registry.metrics();
  for (const line of [
    'cirkd_student_steps_total 2',
    'cirkd_student_images_total 8',
    'cirkd_student_step_seconds_sum 4',
    'cirkd_student_phase_seconds_total{phase="teacher"} 1',
    'cirkd_student_loss{term="total"} 2',
    'cirkd_student_learning_rate 0.02',
    'cirkd_student_requeued_total{reason="timeout"} 1',
    'cirkd_student_miou 0.5',
    'cirkd_student_evaluated_ratio 0.25',
    'cirkd_memory_bank_fill_ratio{bank="region"} 0.25',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
  }
});

test('the run, its teachers and a skipped step set the metrics', async () => {
  const metrics = createStudentMetrics();
  const lines = async () => (await metrics.registry.metrics()).split('\n');
  assert.ok(!(await lines()).some((line) => line.startsWith('cirkd_student_teachers{')), 'no news');
  const [started] = (await lines()).filter((line) => line.startsWith('cirkd_student_last_step_'));
  assert.ok(Number(started?.split(' ')[1]) > 1.7e9, started);
  metrics.recordRun({ id: 'streets', steps: 100, stepsDone: 40 });
  metrics.recordStep(STEP);
  metrics.recordNonFinite({ task: 1, total: Number.NaN });
  metrics.recordTeacher('a:1', 'connecting');
  metrics.recordTeacher('b:1', 'ready');
  metrics.recordTeacher('a:1', 'ready');
  metrics.recordTeacher('a:1', 'backoff');
  metrics.recordTeacher('b:1', 'closed');
  const teachers = ['connecting', 'ready'].map(
    (state) => `cirkd_student_teachers{state="${state}"} 0`,
  );
  for (const line of [
    'cirkd_student_info{run="streets"} 1',
    'cirkd_student_run_steps 100',
    'cirkd_student_run_step 41',
    'cirkd_student_loss{term="total"} Nan',
    'cirkd_student_teachers{state="backoff"} 1',
    ...teachers,
  ]) {
    assert.ok((await lines()).includes(line), `${line}\n${(await lines()).join('\n')}`);
  }
});

test('only ranks of a group have series of collectives; rank 0 alone serves lag and waits of all', async () => {
  const figures = { collectiveBytes: { all_reduce: 400, broadcast: 0 }, lagSeconds: [0, 1.5] };
  const phaseSeconds = { ...STEP.phaseSeconds, collectives: 0.75 };
  const lines = async (rank: number | null) => {
    const metrics = createStudentMetrics();
    if (rank !== null) metrics.joinGroup({ rank, size: 2 });
    for (const _ of [1, 2]) {
      metrics.recordStep(rank === null ? STEP : { ...STEP, phaseSeconds, group: figures });
    }
    metrics.recordAwaited([0, 7.5]);
    const text = await metrics.registry.metrics();
    return text.split('\n').filter((line) => /^[^#].*(collective|rank)/.test(line));
  };
  const own = [
    'cirkd_student_phase_seconds_total{phase="collectives"} 1.5',
    'cirkd_student_collective_bytes_total{kind="all_reduce"} 800',
  ];
  const lag = [0, 3].map((s, peer) => `cirkd_student_rank_lag_seconds_total{peer="${peer}"} ${s}`);
  const awaited = [0, 7.5].map(
    (s, peer) => `cirkd_student_rank_awaited_seconds{peer="${peer}"} ${s}`,
  );
  assert.deepEqual((await lines(0)).sort(), [...own, ...lag, ...awaited].sort());
  assert.deepEqual((await lines(1)).sort(), [...own].sort());
  assert.deepEqual(await lines(null), []);
});

test('a new digest replaces the old one', async () => {
  const metrics = createTeacherMetrics();
  metrics.setNetwork('sha256:aa', 'fp32');
  metrics.setNetwork('sha256:bb', 'bf16');
  const text = await metrics.registry.metrics();
  assert.match(text, /cirkd_teacher_info\{digest="sha256:bb",numeric_mode="bf16"\} 1/);
  assert.doesNotMatch(text, /sha256:aa/);
});

test('a service with a certificate reports its expiry, one without reports none', async () => {
  for (const metrics of [createTeacherMetrics(), createStudentMetrics()]) {
    assert.match(await metrics.registry.metrics(), new RegExp(`^${EXPIRY} NaN$`, 'im'));
    metrics.setCertificateExpiry(new Date('2027-01-02T03:04:05Z'));
    assert.match(await metrics.registry.metrics(), new RegExp(`^${EXPIRY} 1798859045$`, 'm'));
  }
});

test('other paths and methods, a port in use, closing', async () => {
  const { registry } = createTeacherMetrics();
  const server = await startMetricsServer({ registry, host: '127.0.0.1', port: 0 });
  assert.equal((await fetch(server.url.replace('/metrics', '/'))).status, 404);
  assert.equal((await fetch(`${server.url}?x=1`)).status, 200);
  assert.equal((await fetch(server.url, { method: 'POST' })).status, 405);
  await assert.rejects(
    startMetricsServer({ registry, host: '127.0.0.1', port: server.port }),
    (error) => {
      assert.ok(error instanceof ListenError, String(error));
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${server.port}: the port is in use`));
      return true;
    },
  );
  // A client that connects and sends nothing must not delay the close.
  const idle = connect(server.port, '127.0.0.1');
  await new Promise((resolve) => idle.once('connect', resolve));
  await server.close();
  idle.destroy();
  await assert.rejects(fetch(server.url));
});
