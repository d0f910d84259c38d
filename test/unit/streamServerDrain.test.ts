import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { encodeRequest } from '../../src/stream/client/distill/requestEncoder.js';
import { TEACHER_SERVICE_NAME, TeacherService } from '../../src/stream/codec/teacherService.js';
import type { GetTeacherResponse } from '../../src/stream/generated/cirkd/teacher/v1/GetTeacherResponse.js';
import { DIRECT, healthOf } from '../support/connections/grpcProbes.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import {
  DISTILL_PATH,
  framed,
  onMessages,
  openCall,
  openSession,
} from '../support/students/rawDistill.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

function getTeacher(port: number): Promise<GetTeacherResponse | ServiceError> {
  const client = new TeacherService(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  return new Promise((resolve) => {
    client.GetTeacher({}, (error, response) => {
      client.close();
      resolve(error ?? (response as GetTeacherResponse));
    });
  });
}

test('while loading: NOT_SERVING and UNAVAILABLE; then SERVING, and GetTeacher answers', async () => {
  const { server, port } = await startTestServer(undefined);
  assert.equal(await healthOf(port, ''), 'NOT_SERVING');
  assert.equal(await healthOf(port, TEACHER_SERVICE_NAME), 'NOT_SERVING');
  assert.equal(await healthOf(port, 'no.such.Service'), GrpcStatus.NOT_FOUND);
  const early = new DistillPeer(port);
  early.send({ hello: hello() });
  assert.deepEqual(
    [(await early.status).code, (await early.status).details],
    [GrpcStatus.UNAVAILABLE, 'the teacher is still loading'],
  );
  early.close();
  assert.equal(((await getTeacher(port)) as ServiceError).code, GrpcStatus.UNAVAILABLE);

  const engine = new GatedEngine(true);
  server.serve(engine);
  assert.equal(await healthOf(port, ''), 'SERVING');
  assert.equal(await healthOf(port, TEACHER_SERVICE_NAME), 'SERVING');
  const answer = (await getTeacher(port)) as GetTeacherResponse;
  assert.equal(answer.teacher?.digest, engine.info.digest);
  assert.equal(answer.limits?.maxImagePixels, 4096);
  assert.equal(answer.protocolVersion, 1);
});

test('drain: clients are notified, new images refused, accepted ones answered, then UNAVAILABLE', async () => {
  const engine = new GatedEngine(false);
  const { server, port, waiting } = await startTestServer(engine);
  const busy = new DistillPeer(port);
  const idle = new DistillPeer(port);
  await busy.greet();
  await idle.greet();
  busy.send({ image: image(1, 1) });
  busy.send({ image: image(2, 2) });
  await eventually(() => engine.batches.length === 1 && waiting() === 1);
  const drained = server.drain(20_000);
  assert.equal((await busy.take('draining')).draining?.graceMs, 20_000);
  assert.equal(await healthOf(port, ''), 'NOT_SERVING');
  // A stream with nothing to wait for ends at once; a new one isn't taken.
  assert.equal((await idle.status).code, GrpcStatus.UNAVAILABLE);
  const late = new DistillPeer(port);
  late.send({ hello: hello() });
  assert.equal((await late.status).code, GrpcStatus.UNAVAILABLE);

  busy.send({ image: image(3, 3) });
  const error = (await busy.take('error')).error;
  assert.deepEqual(
    [error?.id, error?.code, error?.retryable, error?.reason],
    [3, GrpcStatus.UNAVAILABLE, true, 'ERROR_REASON_DRAINING'],
  );
  engine.open();
  const chunks = await busy.takeAnswer(6);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)), new Set([1, 2]));
  const status = await busy.status;
  assert.deepEqual(
    [status.code, status.details],
    [GrpcStatus.UNAVAILABLE, 'the server is shutting down'],
  );
  assert.equal(await drained, 'drained');
});

test('on the connection: NOT_SERVING and draining while images are unanswered, GOAWAY only afterwards', async () => {
  const engine = new GatedEngine(false);
  const { server, port } = await startTestServer(engine);
  const session = await openSession(port);
  const order: string[] = [];
  session.on('goaway', () => order.push('GOAWAY'));
  const watch = openCall(session, '/grpc.health.v1.Health/Watch');
  const distill = openCall(session, DISTILL_PATH);
  // status = NOT_SERVING (2), the only field; draining is field 5 of a response.
  onMessages(watch, ([, status]) => status === 2 && order.push('NOT_SERVING'));
  onMessages(distill, ([tag]) => tag === (5 << 3) + 2 && order.push('draining'));
  distill.on('trailers', (trailers) => order.push(`status ${trailers['grpc-status']}`));
  watch.end(framed(Buffer.alloc(0)));
  distill.write(framed(encodeRequest({ hello: hello() })));
  const fields = { attempt: 0, timeoutMs: 0, sample: '', augmentationSeed: 0n };
  distill.write(framed(encodeRequest({ image: { ...image(1), ...fields } })));
  await eventually(() => engine.batches.length === 1);
  const drained = server.drain(20_000);
  await eventually(() => order.includes('draining') && order.includes('NOT_SERVING'));
  assert.equal(order.length, 2, order.join());
  engine.open();
  assert.equal(await drained, 'drained');
  // GOAWAY may overtake the trailers: it leaves the streams that there are alone.
  await eventually(() => order.includes('GOAWAY') && order.length >= 4);
  assert.ok(order.includes(`status ${GrpcStatus.UNAVAILABLE}`), order.join());
  session.destroy();
});

test('a drain that takes too long is cut', async () => {
  const engine = new GatedEngine(false);
  const { server, port } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1) });
  await eventually(() => engine.batches.length === 1);
  assert.equal(await server.drain(30), 'forced');
  assert.equal((await peer.status).code, GrpcStatus.UNAVAILABLE);
});
