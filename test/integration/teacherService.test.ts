import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { processorsOf } from '../../src/config/sections/processorList.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { TEACHER_SERVICE_NAME } from '../../src/stream/codec/teacherService.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { eventually } from '../support/eventually.js';
import { healthOf, listedServices } from '../support/connections/grpcProbes.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-teacher-'));
const processes: TeacherProcess[] = [];

function start(...args: string[]): TeacherProcess {
  const teacher = new TeacherProcess(...args);
  processes.push(teacher);
  return teacher;
}

afterEach(() => {
  DistillPeer.closeAll();
  for (const teacher of processes.splice(0)) teacher.kill();
});
after(() => rmSync(folder, { recursive: true }));

const small = ['simulate.enabled=true', 'simulate.classes=3', 'simulate.featureChannels=8'].flatMap(
  (one) => ['--set', one],
);

/** The processors that this process may use. */
function allowedList(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)![1]!;
}

test('a teacher is NOT_SERVING while it warms up, then SERVING and listed by reflection', async () => {
  const slow = ['--set', 'simulate.latencyMs=5000', '--set', 'warmUp=[[16, 24]]'];
  const teacher = start(...small, ...slow);
  const { grpcPort } = await teacher.listening();
  assert.equal(await healthOf(grpcPort, TEACHER_SERVICE_NAME), 'NOT_SERVING');
  const line = await teacher.ready();
  assert.match(
    line,
    new RegExp(
      `^teacher ready: grpc 127\\.0\\.0\\.1:${grpcPort}, metrics http://127\\.0\\.0\\.1:\\d+/metrics, model simulated, digest sha256:[0-9a-f]{64}\n$`,
    ),
  );
  assert.equal(await healthOf(grpcPort, TEACHER_SERVICE_NAME), 'SERVING');
  const services = await listedServices(grpcPort);
  assert.ok(services.includes(TEACHER_SERVICE_NAME), services.join());
  assert.ok(services.includes('grpc.health.v1.Health'), services.join());
  teacher.signal('SIGINT');
  assert.equal(await teacher.exit(), 0);
});

test('SIGTERM: accepted images are answered, the client is notified, exit code 0; metrics count', async () => {
  const teacher = start(...small, '--set', 'simulate.latencyMs=2000');
  await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  const peer = new DistillPeer(grpcPort);
  await peer.greet();
  peer.send({ image: { ...image(0), crc32c: 0 } });
  assert.equal((await peer.take('error')).error?.code, GrpcStatus.DATA_LOSS);
  await peer.take('creditBytes');
  for (const id of [1, 2, 3]) peer.send({ image: image(id, id * 64) });
  // Credit for the first comes when its batch starts: all three are with the server soon.
  await peer.take('creditBytes');
  const metricsOf = async () => (await fetch(metricsUrl)).text();
  let metrics = '';
  await eventually(async () => {
    metrics = await metricsOf();
    return /^cirkd_teacher_queue_images 2$/m.test(metrics);
  });
  assert.match(metrics, /^cirkd_teacher_streams 1$/m);
  assert.match(metrics, /^cirkd_teacher_requests_total\{code="DATA_LOSS"\} 1$/m);
  assert.match(
    metrics,
    /^cirkd_teacher_info\{digest="sha256:[0-9a-f]{64}",numeric_mode="simulated"\} 1$/m,
  );
  assert.match(metrics, /^nodejs_eventloop_lag_p99_seconds /m);

  teacher.signal('SIGTERM');
  assert.equal((await peer.take('draining')).draining?.graceMs, 30_000);
  const chunks = await peer.takeAnswer(9);
  assert.deepEqual([...new Set(chunks.map(({ id }) => id))], [1, 2, 3]);
  const norms = chunks.filter(({ output }) => output === 'OUTPUT_FEATURE_NORM');
  assert.deepEqual(
    norms.map(({ data }) => data.readFloatLE(0)),
    [1.25, 1.5, 1.75],
  );
  assert.equal((await peer.status).code, GrpcStatus.UNAVAILABLE);
  assert.equal(await teacher.exit(), 0);
  assert.match(teacher.stderr, /"outcome":"drained"/);
  peer.close();
});

test('at level debug each batch and each failed image is a line with the names of its requests', async () => {
  const settings = ['log.level=debug', 'faults.failEvery=3', 'batch.maxImages=2'];
  const allowed = processorsOf(allowedList());
  const last = String(allowed.at(-1));
  const teacher = start(...small, ...settings.flatMap((one) => ['--set', one]), '--cpus', last);
  await teacher.ready();
  assert.deepEqual(teacher.allowedProcessors(), [last], 'threads that --cpus left out');
  const { grpcPort } = await teacher.listening();
  const peer = new DistillPeer(grpcPort);
  await peer.greet({ runId: 'city' });
  const sampleKey = { sample: 'a/7.png', augmentationSeed: '5' };
  for (const id of [7, 8, 9]) peer.send({ image: { ...image(id), attempt: id - 7, sampleKey } });
  await peer.take('error');
  const logged = (text: string) =>
    teacher.stderr
      .split('\n')
      .filter((line) => line.includes(text))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const named = (request: number) => ({
    ...{ run: 'city', request, attempt: request - 7 },
    sample: 'a/7.png',
  });
  const batches = logged('"batch computed"');
  assert.deepEqual(
    batches.flatMap(({ images }) => images),
    [7, 8, 9].map(named),
  );
  assert.deepEqual(
    batches.map(({ batch }) => batch),
    batches.map((_, index) => index + 1),
  );
  for (const { queueSeconds, inferenceSeconds } of batches) {
    assert.equal(typeof queueSeconds, 'number');
    assert.equal(typeof inferenceSeconds, 'number');
  }
  const [{ run, request, attempt, sample } = {}, ...others] = logged('"inference failed"');
  assert.deepEqual([{ run, request, attempt, sample }, others], [named(9), []]);
  peer.close();
});

test('SIGTERM while the network loads gives exit code 0 at once', async () => {
  const endless = ['--set', 'simulate.latencyMs=600000', '--set', 'warmUp=[[16, 24]]'];
  const teacher = start(...small, ...endless);
  await teacher.listening();
  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0);
  assert.equal(teacher.stdout, '');
});

test('injected NaN and failures reach the student as errors of their image', async () => {
  const faults = ['--set', 'faults.nonFiniteEvery=2', '--set', 'faults.failEvery=3'];
  const teacher = start(...small, ...faults, '--set', 'simulate.latencyMs=0');
  await teacher.ready();
  const { grpcPort } = await teacher.listening();
  const peer = new DistillPeer(grpcPort);
  await peer.greet();
  for (const id of [1, 2, 3]) peer.send({ image: image(id) });
  const nonFinite = (await peer.take('error')).error;
  assert.equal(nonFinite?.id, 2);
  assert.equal(nonFinite.reason, 'ERROR_REASON_NON_FINITE');
  assert.match(nonFinite.message, /non-finite logits/);
  const failed = (await peer.take('error')).error;
  assert.deepEqual([failed?.id, failed?.code], [3, GrpcStatus.INTERNAL]);
  assert.equal((await peer.takeAnswer(3))[0]?.id, 1);
  peer.close();
});

test('a port in use gives exit code 2 with the address, for gRPC and for metrics', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const teachers = ['--port', '--metrics-port'].map((flag) => start(...small, flag, String(port)));
  for (const teacher of teachers) {
    assert.equal(await teacher.exit(), 2);
    assert.match(teacher.stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*in use`));
    assert.equal(teacher.stdout, '');
  }
  taken.close();
});

test('faults of config and checkpoint give exit codes 2 and 5, each named', async () => {
  const cutFile = join(folder, 'cut.safetensors');
  writeFileSync(cutFile, Buffer.alloc(5));
  const cases: [string[], number, RegExp][] = [
    [
      [...small, '--set', 'limits.maxQueueImage=3'],
      2,
      /limits\.maxQueueImage: unknown key, did you mean .*maxQueueImages/,
    ],
    [[...small, '--cpus', '8191'], 2, /cpus: got 8191, but the machine has no processor 8191/],
    [[...small, '--cpus', '3-1'], 2, /cpus: got "3-1", wanted text such as "0-3,8"/],
    [[], 2, /checkpoint: none given, wanted one of checkpoint, graph.onnx/],
    [['--config', join(folder, 'none.yaml')], 2, /--config: ENOENT.*none\.yaml/],
    [
      ['--checkpoint', join(folder, 'none.safetensors')],
      5,
      /checkpoint: ENOENT.*none\.safetensors/,
    ],
    [['--checkpoint', cutFile], 5, /checkpoint .*cut\.safetensors: .*5 bytes/],
  ];
  const teachers = cases.map(([args]) => start(...args));
  for (const [index, [, code, message]] of cases.entries()) {
    assert.equal(await teachers[index]?.exit(), code);
    assert.match(teachers[index]?.stderr ?? '', message);
  }
});

test('a vanished student leaves the teacher free for the next', async () => {
  const teacher = start(...small, '--set', 'limits.maxStreams=1');
  await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  const first = new DistillPeer(grpcPort);
  await first.greet({ creditBytes: 0 });
  for (const id of [1, 2, 3]) first.send({ image: image(id) });
  await first.take('creditBytes');
  first.close();
  await eventually(async () => {
    const metrics = await (await fetch(metricsUrl)).text();
    return /^cirkd_teacher_streams 0$/m.test(metrics);
  });
  const second = new DistillPeer(grpcPort);
  await second.greet();
  second.send({ image: image(1) });
  await second.takeAnswer(3);
  second.close();
});
