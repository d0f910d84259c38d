/** The student's side of the stream against real teacher processes, killed, stopped and restarted. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TeacherImage, TeacherReply } from '../../src/contract/teacher.js';
import type { ClientOptions, RequeueReason } from '../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { checkTensor, firstNonFinite } from '../../src/wire/checkTensor.js';
import { decodeHalf } from '../../src/wire/half.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

const MIB = 1024 * 1024;
const CLASSES = 5;
const CHANNELS = 64;
const SIMULATED = {
  'simulate.classes': CLASSES,
  'simulate.featureChannels': CHANNELS,
  'simulate.latencyMs': 4,
};

interface Started {
  readonly process: TeacherProcess;
  readonly address: string;
}

/** A simulated teacher that serves; killed when the test ends. */
async function startTeacher(
  t: TestContext,
  settings: Readonly<Record<string, number>>,
  port = '0',
): Promise<Started> {
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const process = new TeacherProcess('--simulate', '--port', port, ...sets);
  t.after(() => process.kill());
  const line = await process.ready();
  const [, address] = /grpc (\S+),/.exec(line) ?? assert.fail(line);
  return { process, address: address! };
}

/** Sizes of crops take turns; the first byte, which the simulated norm tells, is the number. */
function imageOf(number: number): TeacherImage {
  const height = 96 + 8 * (number % 3);
  const width = 128;
  const rgb = new Uint8Array(height * width * 3).fill(number % 256);
  return { sample: `sample-${number}`, augmentationSeed: BigInt(number), height, width, rgb };
}

/** Fails unless `reply` is the simulated teacher's to `image`. */
function assertAnswers(
  reply: TeacherReply,
  image: TeacherImage,
  dtype: 'fp32' | 'fp16' = 'fp32',
  [classes, channels] = [CLASSES, CHANNELS],
): void {
  const [h, w] = [Math.ceil(image.height / 8), Math.ceil(image.width / 8)];
  checkTensor('logits', reply.logits!, dtype, [h, w, classes!]);
  checkTensor('embedding', reply.embedding!, dtype, [h, w, channels!]);
  checkTensor('feature_norm', reply.featureNorm!, 'fp32', [h, w]);
  const norm = 1 + image.rgb[0]! / 256;
  assert.ok(
    new Float32Array(reply.featureNorm!.data).every((value) => value === norm),
    `norm of another image than ${image.sample}`,
  );
  const { data } = reply.embedding!;
  const embedding = dtype === 'fp16' ? decodeHalf(new Uint16Array(data)) : new Float32Array(data);
  for (const row of [0, h * w - 1]) {
    const features = embedding.subarray(row * channels!, (row + 1) * channels!);
    const length = Math.hypot(...features);
    assert.ok(Math.abs(length - 1) < 2e-3, `row ${row} has length ${length}`);
  }
}

function options(
  addresses: string[],
  requeued: RequeueReason[] = [],
  changes: Partial<ClientOptions> = {},
): ClientOptions {
  return {
    addresses,
    runId: 'end-to-end',
    encoding: 'fp32',
    expected: { classes: CLASSES, outputStride: 8 },
    requestTimeoutMs: 20_000,
    teacherTimeoutMs: 60_000,
    maxInflightBytes: 64 * MIB,
    jitter: () => 0.5,
    maxBackoffMs: 500,
    onRequeued: (reason) => requeued.push(reason),
    ...changes,
  };
}

/** Asks for images in order, `ahead` at once; calls back with the number of answers so far. */
async function askAll(
  teacher: RemoteTeacher,
  count: number,
  onAnswer: (answers: number) => void,
  ahead = 12,
): Promise<number[]> {
  const answered: number[] = [];
  let next = 0;
  const ask = async () => {
    while (next < count) {
      const number = next++;
      const image = imageOf(number);
      assertAnswers(await teacher.request(image), image);
      answered.push(number);
      onAnswer(answered.length);
    }
  };
  await Promise.all(Array.from({ length: ahead }, ask));
  return answered.sort((a, b) => a - b);
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

test('with killed, terminated, stopped and restarted teachers every image is answered once', async (t) => {
  const [first, second, third] = await Promise.all(upTo(3).map(() => startTeacher(t, SIMULATED)));
  const requeued: RequeueReason[] = [];
  const addresses = [first!, second!, third!].map(({ address }) => address);
  const teacher = await connectTeachers(options(addresses, requeued, { requestTimeoutMs: 4000 }));
  t.after(() => teacher.close());
  let restarted: Promise<unknown> | undefined;
  const answered = await askAll(teacher, 400, (answers) => {
    if (answers === 40) first!.process.signal('SIGKILL');
    if (answers === 80) second!.process.signal('SIGTERM');
    if (answers === 120) restarted = startTeacher(t, SIMULATED, first!.address.split(':')[1]);
    if (answers === 160) {
      third!.process.signal('SIGSTOP');
      setTimeout(() => third!.process.signal('SIGCONT'), 6000);
    }
  });
  assert.deepEqual(answered, upTo(400));
  await restarted;
  assert.ok(requeued.includes('stream') && requeued.includes('timeout'), requeued.join());
  assert.equal(await second!.process.exit(), 0, 'a drained teacher ends well');
});

test('answers of full size arrive in several chunks, in both encodings', async (t) => {
  const full = { 'simulate.classes': 19, 'simulate.latencyMs': 1 };
  const { address } = await startTeacher(t, full);
  for (const encoding of ['fp32', 'fp16'] as const) {
    let receivedBytes = 0;
    const teacher = await connectTeachers(
      options([address], [], {
        encoding,
        expected: { classes: 19, outputStride: 8, featureChannels: 512 },
        onReceivedBytes: (bytes) => {
          receivedBytes += bytes;
        },
      }),
    );
    const images = upTo(6).map((i) => {
      const rgb = new Uint8Array(512 * 1024 * 3).fill(i);
      return { ...imageOf(i), height: 512, width: 1024, rgb };
    });
    const replies = await Promise.all(images.map((image) => teacher.request(image)));
    await teacher.close();
    for (const [i, reply] of replies.entries()) {
      assertAnswers(reply, images[i]!, encoding, [19, 512]);
    }
    const elementBytes = encoding === 'fp16' ? 2 : 4;
    assert.equal(receivedBytes, 6 * 64 * 128 * ((512 + 19) * elementBytes + 4));
  }
});

test('errors and NaN of one teacher are requested again from another', async (t) => {
  const [faulty, well] = await Promise.all([
    startTeacher(t, { ...SIMULATED, 'faults.failEvery': 5, 'faults.nonFiniteEvery': 7 }),
    startTeacher(t, SIMULATED),
  ]);
  const requeued: RequeueReason[] = [];
  const teacher = await connectTeachers(options([faulty!.address, well!.address], requeued));
  t.after(() => teacher.close());
  for (const number of upTo(60)) {
    const image = imageOf(number);
    const reply = await teacher.request(image);
    assert.equal(firstNonFinite(reply.logits!), -1);
    assertAnswers(reply, image);
  }
  assert.ok(requeued.includes('error') && requeued.includes('nonfinite'), requeued.join());
});

test('a stream that uses the limits of the teacher fully is never refused', async (t) => {
  const limits = { 'limits.maxInflightImages': 1, 'limits.chunkBytes': 4096 };
  const { address } = await startTeacher(t, { ...SIMULATED, ...limits });
  const requeued: RequeueReason[] = [];
  const teacher = await connectTeachers(options([address], requeued));
  t.after(() => teacher.close());
  assert.deepEqual(await askAll(teacher, 30, () => {}, 4), upTo(30));
  assert.deepEqual(requeued, []);
});
