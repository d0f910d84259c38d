/** `cirkd teacher` as a process, asked over the Open Inference Protocol. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { INFERENCE_SERVICE_NAME } from '../../src/oip/codec/inferenceService.js';
import type { ModelConfigResponse } from '../../src/oip/generated/inference/ModelConfigResponse.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { healthOf, listedServices } from '../support/connections/grpcProbes.js';
import { eventually } from '../support/eventually.js';
import { floatsOf, inferRequest, OipPeer, rawOf } from '../support/oip/oipPeer.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

const processes: TeacherProcess[] = [];

async function start(...args: string[]) {
  const teacher = new TeacherProcess(...args);
  processes.push(teacher);
  await teacher.ready();
  return { teacher, ...(await teacher.listening()) };
}

afterEach(() => {
  DistillPeer.closeAll();
  OipPeer.closeAll();
  for (const teacher of processes.splice(0)) teacher.kill();
});

const set = (...settings: string[]) => settings.flatMap((one) => ['--set', one]);
const simulated = ['simulate.enabled=true', 'simulate.classes=3', 'simulate.featureChannels=8'];

test('a trained network: logits, embedding and norms are those of a Distill stream, bit for bit', async () => {
  const { grpcPort } = await start('--checkpoint', 'examples/demo/teacher.safetensors');
  const student = new DistillPeer(grpcPort);
  const outputs = (['OUTPUT_LOGITS', 'OUTPUT_EMBEDDING', 'OUTPUT_FEATURE_NORM'] as const).map(
    (output) => ({ output, encoding: 'ENCODING_FP32' as const }),
  );
  const welcome = await student.greet({ outputs });
  const client = new OipPeer(grpcPort);
  const [shades, size] = [
    [40, 200, 90],
    [48, 72],
  ] as const;
  const answer = await client.answer(inferRequest({ shades, size }));
  const chunks = [];
  for (const [index, shade] of shades.entries()) {
    student.send({ image: image(index + 1, shade, size) });
    chunks.push(...(await student.takeAnswer(3)));
  }
  const names = ['logits', 'embedding', 'feature_norm'] as const;
  for (const [index, name] of names.entries()) {
    const wanted = chunks.filter(({ output }) => output === outputs[index]!.output);
    assert.ok(rawOf(answer, name).equals(Buffer.concat(wanted.map(({ data }) => data))), name);
  }
  assert.ok(
    floatsOf(answer, 'logits').some((value) => value !== 0),
    'all logits are 0',
  );
  const { config } = (await client.call<ModelConfigResponse>('ModelConfig', {
    name: 'cirkd',
  })) as ModelConfigResponse;
  const digest = JSON.parse(config?.parameters['cirkd.digest']?.stringValue ?? 'null');
  assert.equal(digest, welcome?.teacher?.digest);
});

test('health, metrics, a line per batch; on SIGTERM what was accepted is answered, exit 0', async () => {
  const settings = [...simulated, 'simulate.latencyMs=1000', 'log.level=debug'];
  const { teacher, grpcPort, metricsUrl } = await start(...set(...settings, 'oip.modelName=city'));
  assert.equal(await healthOf(grpcPort, INFERENCE_SERVICE_NAME), 'SERVING');
  const client = new OipPeer(grpcPort);
  const named = (id: string) => ({ ...inferRequest({ id, shades: [1, 2] }), modelName: 'city' });
  const refused = (await client.infer(inferRequest())) as ServiceError;
  assert.equal(refused.code, GrpcStatus.NOT_FOUND);
  await client.answer(named('one'));
  const metrics = await (await fetch(metricsUrl)).text();
  assert.match(metrics, /^cirkd_teacher_oip_requests_total\{method="ModelInfer",code="OK"\} 1$/m);
  assert.match(metrics, /_oip_requests_total\{method="ModelInfer",code="NOT_FOUND"\} 1$/m);
  assert.match(metrics, /^cirkd_teacher_oip_request_seconds_count\{method="ModelInfer"\} 2$/m);
  assert.match(metrics, /^cirkd_teacher_images_total 2$/m);
  assert.match(metrics, /^cirkd_teacher_batch_images_count 2$/m);
  const stream = client.stream({ metadata: { 'cirkd-run': 'my-run' } });
  stream.send(named('two'));
  await eventually(async () =>
    /^cirkd_teacher_queue_images 1$/m.test(await (await fetch(metricsUrl)).text()),
  );
  teacher.signal('SIGTERM');
  const [{ errorMessage, inferResponse } = { errorMessage: 'nothing' }] = await stream.take(1);
  assert.deepEqual([errorMessage, inferResponse?.id], ['', 'two']);
  assert.equal((await stream.status).code, GrpcStatus.UNAVAILABLE);
  assert.equal(await teacher.exit(), 0);
  const lines = teacher.stderr
    .split('\n')
    .filter((line) => line.includes('"batch computed"'))
    .flatMap((line) => (JSON.parse(line) as { images: { run: string; sample: string }[] }).images);
  assert.deepEqual(
    lines.map(({ sample }) => sample),
    ['one[0]', 'one[1]', 'two[0]', 'two[1]'],
  );
  assert.match(lines[0]!.run, /^127\.0\.0\.1:\d+$/);
  assert.equal(lines[2]!.run, 'my-run');
  assert.match(teacher.stderr, /"run":"my-run","peer":"127[^}]*"inference stream opened"/);
});

test('oip.enabled: false leaves the port to the teacher service', async () => {
  const { grpcPort } = await start(...set(...simulated, 'oip.enabled=false'));
  const services = await listedServices(grpcPort);
  assert.ok(!services.includes(INFERENCE_SERVICE_NAME), services.join());
  assert.equal(await healthOf(grpcPort, INFERENCE_SERVICE_NAME), GrpcStatus.NOT_FOUND);
  const refused = (await new OipPeer(grpcPort).infer(inferRequest())) as ServiceError;
  assert.equal(refused.code, GrpcStatus.UNIMPLEMENTED);
});
