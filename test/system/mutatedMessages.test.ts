/** Bytes that nobody should send, at a real teacher process, beside a student that is served on. */
import assert from 'node:assert/strict';
import { type Socket, connect } from 'node:net';
import { afterEach, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { drawsFor } from '../../src/random/draws.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import {
  type MutatedCall,
  mutatedCall,
  mutatedInferenceCall,
} from '../support/students/mutations.js';
import { type CallEnd, callWith, openSession } from '../support/students/rawDistill.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';

const MESSAGES = 10_000;
const CONNECTIONS = 8;
/** Each has to occur: answers, refused messages, beyond the limits, what the server lacks. */
const DISTILL_ENDS = [
  GrpcStatus.OK,
  GrpcStatus.INVALID_ARGUMENT,
  GrpcStatus.RESOURCE_EXHAUSTED,
  GrpcStatus.FAILED_PRECONDITION,
];
/** Each has to occur: answers, refused requests, beyond the limits, another model, not one message. */
const INFERENCE_ENDS = [
  GrpcStatus.OK,
  GrpcStatus.INVALID_ARGUMENT,
  GrpcStatus.RESOURCE_EXHAUSTED,
  GrpcStatus.NOT_FOUND,
  GrpcStatus.UNIMPLEMENTED,
];
/** Time-outs that a mutation or a busy machine made too short. */
const POSSIBLE = [GrpcStatus.UNAVAILABLE];
const MIB = 1_048_576;
/** V8 lets garbage pile up (services/program/bulkHeap.ts); 25 KiB kept of each call would be more. */
const GROWTH_MIB = 192;

const settings = [
  ...['simulate.enabled=true', 'simulate.classes=3', 'simulate.featureChannels=8'],
  ...['simulate.latencyMs=0', 'requestTimeoutMs=1000', 'limits.maxStreams=64'],
  'listen.healthPort=0',
].flatMap((one) => ['--set', one]);

let teacher: TeacherProcess | undefined;

async function startTeacher() {
  teacher = new TeacherProcess(...settings);
  await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  const healthPort = Number(/"health":"[^"]*:(\d+)"/.exec(teacher.stderr)?.[1]);
  const residentMiB = async () =>
    (await metricOf(metricsUrl, 'process_resident_memory_bytes')) / MIB;
  return { process: teacher, grpcPort, healthPort, residentMiB };
}

afterEach(() => {
  DistillPeer.closeAll();
  OipPeer.closeAll();
  teacher?.kill();
});

/** A student that asks for one image after the other, until told to stop; gives their number. */
async function goodStudent(port: number, signal: AbortSignal): Promise<number> {
  const peer = new DistillPeer(port);
  await peer.greet({ runId: 'good' });
  let answered = 0;
  while (!signal.aborted) {
    const shade = answered % 256;
    peer.send({ image: image(answered, shade) });
    const chunks = await peer.takeAnswer(3);
    const norm = chunks.find(({ output }) => output === 'OUTPUT_FEATURE_NORM');
    assert.equal(norm?.id, answered);
    answered += 1;
  }
  assert.equal(peer.count('error'), 0);
  peer.halfClose();
  assert.equal((await peer.status).code, GrpcStatus.OK);
  return answered;
}

/** The same over the Open Inference Protocol. */
async function goodClient(port: number, signal: AbortSignal): Promise<number> {
  const peer = new OipPeer(port);
  let answered = 0;
  while (!signal.aborted) {
    const id = String(answered);
    const response = await peer.answer(inferRequest({ id, shades: [answered % 256, 1] }));
    assert.deepEqual([response.id, response.rawOutputContents.length], [id, 4]);
    answered += 1;
  }
  return answered;
}

/** Sends 10,000 mutated calls, beside a student and a client that are answered as ever. */
async function sendMutatedCalls(
  t: TestContext,
  callOf: (number: number) => MutatedCall,
  expected: readonly number[],
): Promise<void> {
  const { process, grpcPort, residentMiB } = await startTeacher();
  const stop = new AbortController();
  const good = goodStudent(grpcPort, stop.signal);
  const alsoGood = goodClient(grpcPort, stop.signal);
  const ends: CallEnd[] = [];
  const resident: number[] = [];
  let next = 0;
  async function sendMutated(): Promise<void> {
    const session = await openSession(grpcPort);
    while (next < MESSAGES) {
      const number = next++;
      const { mutation, path, body } = callOf(number);
      const end = await callWith(session, body, path);
      const name = `message ${number} (${mutation}): status ${end.status} ${end.text}`;
      assert.ok(
        [...expected, ...POSSIBLE].some((code) => code === end.status),
        name,
      );
      ends.push(end);
      if (ends.length % (MESSAGES / 10) === 0) resident.push(await residentMiB());
    }
    session.close();
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, sendMutated));
  stop.abort();
  assert.ok((await good) > 0, 'the good student got nothing');
  assert.ok((await alsoGood) > 0, 'the good client got nothing');
  assert.equal(process.exitCode, undefined);
  assert.equal(ends.length, MESSAGES);
  for (const code of expected) {
    const times = ends.filter(({ status }) => status === code).length;
    assert.ok(times > 0, `no call ended with ${code}: the mutations have grown tame`);
  }
  // Nothing that only the author of the code should see, and nothing that he didn't foresee.
  assert.deepEqual(
    ends.filter(({ text }) => /see the log|\bat .*:\d+:\d+/.test(text)),
    [],
  );
  assert.doesNotMatch(process.stderr, /"level":"error"/);
  const [first = 0, ...later] = resident.slice(2);
  const most = Math.max(...later);
  t.diagnostic(`resident MiB after each tenth: ${resident.map(Math.round).join(', ')}`);
  assert.ok(
    most < first + GROWTH_MIB,
    `MiB after each tenth: ${resident.map(Math.round).join(', ')}`,
  );
}

test('10,000 mutated messages: a status for each, no growth, a good student undisturbed', (t) =>
  sendMutatedCalls(t, mutatedCall, DISTILL_ENDS));

test('10,000 mutated calls of the Open Inference Protocol, with the same result', (t) =>
  sendMutatedCalls(t, mutatedInferenceCall, INFERENCE_ENDS));

const draws = drawsFor(2, 'test');
const random = (bytes: number) =>
  Buffer.from(Array.from({ length: bytes }, () => draws.integer(256)));
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const GARBAGE: Readonly<Record<string, Buffer>> = {
  'random bytes': random(65_536),
  'half a preface': PREFACE.subarray(0, 12),
  'a preface, then random bytes': Buffer.concat([PREFACE, random(65_536)]),
  'a preface, then a frame of 16 MiB': Buffer.concat([
    PREFACE,
    Buffer.from('ffffff040000000000', 'hex'),
  ]),
  'HTTP/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: teacher\r\n\r\n'),
  'a TLS hello': Buffer.concat([Buffer.from('160301020001fc0303', 'hex'), random(509)]),
  'a header block without end': Buffer.concat([
    PREFACE,
    Buffer.from('000000040000000000', 'hex'),
    Buffer.from('000004010000000001', 'hex'),
    random(4),
  ]),
  nothing: Buffer.alloc(0),
};

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket.resume();
}

test('garbage on the ports, connections that say nothing: then as before', async () => {
  const { process, grpcPort, healthPort, residentMiB } = await startTeacher();
  const stop = new AbortController();
  const good = goodStudent(grpcPort, stop.signal);
  const before = await residentMiB();
  const sockets: Socket[] = [];
  for (const port of [grpcPort, healthPort]) {
    for (let times = 0; times < 5; times++) {
      for (const bytes of Object.values(GARBAGE)) {
        const socket = await openSocket(port);
        socket.write(bytes);
        sockets.push(socket);
      }
    }
    // Slow ones, a byte at a time.
    const slow = await openSocket(port);
    sockets.push(slow);
    for (const byte of PREFACE) {
      slow.write(Buffer.from([byte]));
      await setTimeout(5);
    }
    for (let times = 0; times < 100; times++) sockets.push(await openSocket(port));
  }
  // All of them still open, as far as the teacher is concerned.
  for (const port of [grpcPort, healthPort]) assert.equal(await healthOf(port, ''), 'SERVING');
  const fresh = new DistillPeer(grpcPort);
  await fresh.greet();
  fresh.send({ image: image(1) });
  await fresh.takeAnswer(3);
  for (const socket of sockets) socket.destroy();
  stop.abort();
  assert.ok((await good) > 0, 'the good student got nothing');
  assert.equal(process.exitCode, undefined);
  assert.doesNotMatch(process.stderr, /"level":"error"/);
  assert.ok(
    (await residentMiB()) < before + GROWTH_MIB,
    `${before} MiB before, ${await residentMiB()} after`,
  );
});
