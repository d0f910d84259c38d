/** Several teachers, one student: who is asked, who is left alone, what is in flight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { drawsFor } from '../../src/random/draws.js';
import type { Image } from '../../src/stream/generated/cirkd/teacher/v1/Image.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf } from '../support/students/scriptedStudent.js';
import { deadAddress, REPLY_BYTES, student, teachers } from '../support/teachers/scriptedFleet.js';
import {
  CHANNELS,
  CLASSES,
  DIGEST,
  type ScriptedStream,
} from '../support/teachers/scriptedTeacher.js';

test('the info of the teacher comes from the welcome', async (t) => {
  const { teacher } = await student(
    t,
    await teachers(t, { info: { classNames: ['a', 'b', 'c'] } }),
  );
  assert.deepEqual(teacher.info, {
    digest: DIGEST,
    model: 'scripted',
    classes: CLASSES,
    featureChannels: CHANNELS,
    hasAuxLogits: false,
    outputStride: 8,
    pixelMean: [123.5, 116, 103],
    pixelStd: [58, 57, 57],
    channelOrder: 'rgb',
    alignCorners: true,
    numericMode: 'fp32',
    classNames: ['a', 'b', 'c'],
  });
});

test('fp16 answers are decoded, and an image carries all its fields', async (t) => {
  const [scripted] = await teachers(t, {});
  const { teacher } = await student(t, [scripted!], { encoding: 'fp16' });
  const image = { ...imageOf(7), augmentationSeed: 2n ** 64n - 1n };
  assertAnswers(await teacher.request(image), image, 'fp16');
  const [sent] = scripted!.images;
  assert.equal(sent!.timeoutMs, 20_000);
  assert.equal(sent!.sampleKey!.sample, 'sample-7');
  assert.deepEqual([sent!.height, sent!.width], [17, 24]);
  assert.deepEqual(new Uint8Array(sent!.rgb), image.rgb);
});

test('with random faults at three teachers, each of 200 images is answered once and correctly', async (t) => {
  const draws = drawsFor(5, 'test');
  const fault = async (stream: ScriptedStream, image: Image): Promise<void> => {
    const draw = draws.uniform();
    if (draw < 0.08) return stream.answer(image, (chunk) => ({ ...chunk, crc32c: 1 }));
    if (draw < 0.16) return stream.error(image, { code: status.INTERNAL, retryable: true });
    if (draw < 0.18) return stream.end(status.UNAVAILABLE, 'cut');
    if (draw < 0.2) return;
    if (draw < 0.28) void stream.answer(image);
    return stream.answer(image);
  };
  const script = { onImage: fault };
  const all = await teachers(t, script, script, script);
  const { teacher, observed } = await student(t, all, { requestTimeoutMs: 1000 });
  const images = Array.from({ length: 200 }, (_, i) => imageOf(i));
  const answered: number[] = [];
  const replies = await Promise.all(
    images.map(async (image, i) => {
      const reply = await teacher.request(image);
      answered.push(i);
      return reply;
    }),
  );
  for (const [i, reply] of replies.entries()) assertAnswers(reply, images[i]!);
  assert.equal(new Set(answered).size, 200);
  assert.equal(new Set(replies.flatMap((r) => [r.logits!.data, r.embedding!.data])).size, 400);
  assert.ok(observed.requeued.length > 20, `${observed.requeued.length} asked again`);
  const sent = all.flatMap(({ images: received }) => received);
  // Some of those asked again were lost with their stream before the teacher saw them.
  assert.ok(
    sent.length >= 200 && sent.length <= 200 + observed.requeued.length,
    `${sent.length} sent, ${observed.requeued.length} of them again`,
  );
  assert.ok(
    all.every(({ images: received }) => received.length > 20),
    `${all.map(({ images: received }) => received.length)} images`,
  );
  assert.equal(observed.inflightBytes, 0);
});

test('bytes in flight stay within maxInflightBytes; teachers get credit for what is requested from them', async (t) => {
  const all = await teachers(t, {}, {});
  const maxInflightBytes = 3 * REPLY_BYTES + 10;
  const { teacher, observed } = await student(t, all, { maxInflightBytes });
  const images = Array.from({ length: 40 }, (_, i) => imageOf(i));
  await Promise.all(images.map((image) => teacher.request(image)));
  assert.equal(observed.worstInflightBytes, 3 * REPLY_BYTES);
  assert.equal(observed.receivedBytes, 40 * REPLY_BYTES);
  for (const { streams, images: asked } of all) {
    const [stream] = streams;
    assert.equal(stream!.hello!.creditBytes, 0);
    assert.ok(stream!.worstOpenGrantBytes <= 3 * REPLY_BYTES, `${stream!.worstOpenGrantBytes}`);
    assert.equal(stream!.grantedBytes, asked.length * REPLY_BYTES);
    assert.equal(stream!.sentBytes, stream!.grantedBytes);
  }
});

test('one teacher of many may use the whole maxInflightBytes', async (t) => {
  const held: (() => Promise<void>)[] = [];
  const [scripted] = await teachers(t, {
    limits: { maxInflightImages: 99 },
    onImage: async (stream, image) => void held.push(() => stream.answer(image)),
  });
  const away = [await deadAddress(), await deadAddress(), await deadAddress()];
  const { teacher } = await student(t, [scripted!, ...away], { maxInflightBytes: 7 * REPLY_BYTES });
  const answers = Array.from({ length: 7 }, (_, i) => teacher.request(imageOf(i)));
  await eventually(() => held.length === 7);
  assert.equal(scripted!.streams[0]!.grantedBytes, 7 * REPLY_BYTES);
  for (const answer of held) void answer();
  for (const [i, reply] of (await Promise.all(answers)).entries()) assertAnswers(reply, imageOf(i));
});

test('an unwanted answer takes no credit from the next one', async (t) => {
  const late: Image[] = [];
  const [scripted] = await teachers(t, {
    onImage: async (stream, image) => {
      late.push(image);
      if (late.length === 1) return;
      await stream.answer(late[0]!);
      await stream.answer(image);
    },
  });
  const { teacher } = await student(t, [scripted!]);
  const abort = new AbortController();
  const given = teacher.request(imageOf(1), abort.signal);
  await eventually(() => late.length === 1);
  abort.abort(new Error('enough'));
  await assert.rejects(given, /enough/);
  assertAnswers(await teacher.request(imageOf(2)), imageOf(2));
  // The first grant served the late answer, a second one that of the image in its place.
  assert.equal(scripted!.streams[0]!.grantedBytes, 2 * REPLY_BYTES);
});

test('images wait for the limits of the teacher: unanswered images, and upload credit', async (t) => {
  for (const script of [
    { limits: { maxInflightImages: 2 }, uploadCreditBytes: 1_000_000 },
    { limits: { maxInflightImages: 99 }, uploadCreditBytes: 2 * 17 * 24 * 3 + 5 },
  ]) {
    const held: (() => Promise<void>)[] = [];
    let worst = 0;
    const [scripted] = await teachers(t, {
      ...script,
      onImage: async (stream, image) => {
        worst = Math.max(
          worst,
          held.push(() => stream.answer(image)),
        );
        if (held.length !== 2) return;
        // Time for a third one to come.
        await new Promise((resolve) => setTimeout(resolve, 5));
        for (const answer of held.splice(0)) void answer();
      },
    });
    const { teacher } = await student(t, [scripted!]);
    await Promise.all(Array.from({ length: 12 }, (_, i) => teacher.request(imageOf(i))));
    assert.equal(worst, 2);
  }
});

test('the images of a hung teacher go to the other one', async (t) => {
  const all = await teachers(t, { onImage: () => {} }, {});
  const { teacher, observed } = await student(t, all, { requestTimeoutMs: 500 });
  await eventually(() => observed.states.filter((state) => state.endsWith('ready')).length === 2);
  const images = Array.from({ length: 20 }, (_, i) => imageOf(i));
  const replies = await Promise.all(images.map((image) => teacher.request(image)));
  for (const [i, reply] of replies.entries()) assertAnswers(reply, images[i]!);
  assert.ok(observed.requeued.includes('timeout'), observed.requeued.join());
});

test('a draining teacher gets no new images, answers those it has, and is tried again', async (t) => {
  const held: (() => Promise<void>)[] = [];
  // The other teacher isn't ready before the first has its image.
  let welcomeOther: (() => void) | undefined;
  const [draining, other] = await teachers(
    t,
    {
      onImage: async (stream, image) => {
        if (held.length > 0) return stream.answer(image);
        held.push(() => stream.answer(image));
        stream.drain(10_000);
      },
    },
    {
      onHello: (stream) => {
        welcomeOther = () => stream.welcome();
        if (held.length > 0) welcomeOther();
      },
    },
  );
  const { teacher, observed } = await student(t, [draining!, other!]);
  const first = teacher.request(imageOf(1));
  await eventually(() => observed.states.includes(`${draining!.address} draining`));
  welcomeOther?.();
  const rest = [2, 3, 4, 5].map((i) => teacher.request(imageOf(i)));
  await Promise.all(rest);
  assert.equal(draining!.images.length, 1);
  assert.equal(other!.images.length, 4);
  await held[0]!();
  assertAnswers(await first, imageOf(1));
  assert.deepEqual(observed.requeued, []);
  await eventually(() => draining!.streams.length === 2);
});

test('images still unanswered after the grace of a drain go to other teachers', async (t) => {
  const [draining] = await teachers(t, {
    onImage: (stream, image) => (image.attempt === 0 ? stream.drain(20) : stream.answer(image)),
  });
  const { teacher, observed } = await student(t, [draining!]);
  assertAnswers(await teacher.request(imageOf(1)), imageOf(1));
  assert.deepEqual(observed.requeued, ['draining']);
});

test('requestElsewhere uses another teacher than the one that answered', async (t) => {
  const all = await teachers(t, {}, {});
  const { teacher, observed } = await student(t, all);
  await eventually(() => observed.states.filter((state) => state.endsWith('ready')).length === 2);
  for (let i = 0; i < 6; i++) {
    await teacher.request(imageOf(i));
    const before = all.map(({ images }) => images.length);
    const answeredFirst = all.findIndex(
      ({ images }) => images.at(-1)?.sampleKey?.sample === `sample-${i}`,
    );
    assertAnswers(await teacher.requestElsewhere(imageOf(i)), imageOf(i));
    assert.equal(all[answeredFirst]!.images.length, before[answeredFirst]);
  }
  assert.deepEqual(observed.requeued, Array(6).fill('nonfinite'));
});

test('requestElsewhere uses the same teacher if there is no other', async (t) => {
  const { teacher } = await student(t, [...(await teachers(t, {})), await deadAddress()]);
  await teacher.request(imageOf(1));
  assertAnswers(await teacher.requestElsewhere(imageOf(1)), imageOf(1));
});
