/** When the client waits, asks again, and gives up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { ImageRefusedError } from '../../src/stream/client/errors.js';
import type { Image } from '../../src/stream/generated/cirkd/teacher/v1/Image.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf } from '../support/students/scriptedStudent.js';
import { student, teachers } from '../support/teachers/scriptedFleet.js';
import type { Script, ScriptedStream } from '../support/teachers/scriptedTeacher.js';

const SMALL: Script = { limits: { maxImagePixels: 100 } };

async function refusal(answer: Promise<unknown>): Promise<ImageRefusedError> {
  const error = await answer.then(
    () => assert.fail('answered'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ImageRefusedError, String(error));
  return error;
}

test('an image too large for one teacher waits for another that is still connecting', async (t) => {
  const held: ScriptedStream[] = [];
  const [small, large] = await teachers(t, SMALL, { onHello: (stream) => void held.push(stream) });
  const { teacher } = await student(t, [small!, large!]);
  const answer = teacher.request(imageOf(1));
  // Others go on meanwhile.
  assertAnswers(await teacher.request(imageOf(2, 8, 8)), imageOf(2, 8, 8));
  await eventually(() => held.length > 0);
  held[0]!.welcome();
  assertAnswers(await answer, imageOf(1));
  assert.equal(large!.images.length, 1);
});

test('an image is refused once every teacher has refused it: unavailable teachers count, refused ones do not', async (t) => {
  const away: ScriptedStream[] = [];
  const [small, alsoSmall] = await teachers(t, SMALL, {
    ...SMALL,
    onHello: (stream) => void (away.push(stream) === 1 && stream.welcome()),
  });
  const [misfit] = await teachers(t, { info: { classes: 19 } });
  const { teacher, observed } = await student(t, [small!, alsoSmall!, misfit!]);
  await eventually(() => observed.states.includes(`${misfit!.address} refused`));
  await eventually(() => observed.states.includes(`${alsoSmall!.address} ready`));
  // Its limits are known; that it is away now changes nothing.
  away[0]!.end(status.UNAVAILABLE, 'cut');
  await eventually(() => observed.states.includes(`${alsoSmall!.address} backoff`));
  const error = await refusal(teacher.request(imageOf(1)));
  assert.equal(error.code, status.INVALID_ARGUMENT);
  assert.match(error.message, /17x24 pixels, teacher .* takes at most 100/);
});

test('an image that always fails is given up after ten answers, with the message of the last', async (t) => {
  const faulty = (stream: ScriptedStream, image: Image) => {
    if (image.sampleKey?.sample !== 'sample-1') return stream.answer(image);
    return stream.error(image, { code: status.INTERNAL, message: 'broke', retryable: true });
  };
  const all = await teachers(t, { onImage: faulty }, { onImage: faulty });
  const { teacher, observed } = await student(t, all);
  const refused = refusal(teacher.request(imageOf(1)));
  // Somebody is answered: the teachers are well.
  await eventually(() => observed.requeued.length > 0);
  assertAnswers(await teacher.request(imageOf(2)), imageOf(2));
  const error = await refused;
  assert.equal(error.code, status.INTERNAL);
  const [, times] = /sample-1: no usable answer after (\d+) attempts, .*INTERNAL: broke/.exec(
    error.message,
  )!;
  // A few more where the other's answer came late.
  assert.ok(Number(times) >= 10 && Number(times) <= 20, times);
  const asked = all.flatMap(({ images }) => images).filter(({ id }) => id > 0);
  const ofIt = asked.filter(({ sampleKey }) => sampleKey?.sample === 'sample-1');
  assert.equal(ofIt.length, Number(times));
  assert.equal(observed.requeued.length, Number(times) - 1);
});

test('invalid answers count as faults of an image', async (t) => {
  const all = await teachers(t, {
    onImage: (stream, image) =>
      image.sampleKey?.sample === 'sample-1'
        ? stream.answer(image, (chunk) => ({ ...chunk, crc32c: 1 }))
        : stream.answer(image),
  });
  const { teacher, observed } = await student(t, all);
  const refused = refusal(teacher.request(imageOf(1)));
  await eventually(() => observed.requeued.length > 0);
  await teacher.request(imageOf(2));
  const error = await refused;
  assert.match(error.message, /no usable answer after 11 attempts, .*crc32c 0x00000001 given/);
});

test('when all teachers fail, the client waits: an image is answered despite any number of faults', async (t) => {
  let asked = 0;
  const sick = (stream: ScriptedStream, image: Image) =>
    ++asked > 30
      ? stream.answer(image)
      : stream.error(image, { code: status.INTERNAL, message: 'broke', retryable: true });
  const all = await teachers(t, { onImage: sick }, { onImage: sick });
  const { teacher, observed } = await student(t, all);
  assertAnswers(await teacher.request(imageOf(1)), imageOf(1));
  assert.equal(observed.requeued.length, 30);
});

test('teachers that fail for teacherTimeoutMs count as unavailable, with the message of the last failure', async (t) => {
  const all = await teachers(t, {
    onImage: (stream, image) =>
      stream.error(image, { code: status.INTERNAL, message: 'broke', retryable: true }),
  });
  const { teacher } = await student(t, all, { teacherTimeoutMs: 1000 });
  await assert.rejects(teacher.request(imageOf(1)), {
    name: 'TeacherUnavailableError',
    message: /no teacher answered for 1000 ms: .*INTERNAL: broke/,
  });
});

test('a full queue, a missed deadline, draining and lost connections do not count as faults of the image', async (t) => {
  let asked = 0;
  const [scripted] = await teachers(t, {
    onImage: (stream, image) => {
      asked++;
      if (asked > 48) return stream.answer(image);
      if (asked % 4 === 0) return stream.end(status.UNAVAILABLE, 'cut');
      const codes = [status.RESOURCE_EXHAUSTED, status.UNAVAILABLE, status.DEADLINE_EXCEEDED];
      const code = codes[(asked % 4) - 1]!;
      return stream.error(image, { code, message: 'later', retryable: true });
    },
  });
  const { teacher, observed } = await student(t, [scripted!]);
  assertAnswers(await teacher.request(imageOf(1)), imageOf(1));
  assert.equal(observed.requeued.length, 48);
});

test('simultaneous time-outs are one failure: the stream stays open, and fewer images are sent', async (t) => {
  let silent = true;
  let open = 0;
  const worst: number[] = [];
  const [scripted] = await teachers(t, {
    limits: { maxInflightImages: 8 },
    onImage: async (stream, image) => {
      if (silent) return;
      worst.push(++open);
      await new Promise((resolve) => setTimeout(resolve, 2));
      open--;
      await stream.answer(image);
    },
  });
  const { teacher, observed } = await student(t, [scripted!], {
    requestTimeoutMs: 400,
    firstBackoffMs: 200,
    maxBackoffMs: 200,
    maxInflightImagesPerTeacher: 8,
  });
  const answers = Array.from({ length: 40 }, (_, i) => teacher.request(imageOf(i)));
  await eventually(() => scripted!.images.length === 8);
  await eventually(() => observed.requeued.length === 8);
  silent = false;
  await Promise.all(answers);
  assert.deepEqual([...new Set(observed.requeued)], ['timeout']);
  assert.equal(scripted!.streams.length, 1);
  // One at first, then half of eight; the window grows only with its answers.
  assert.ok(Math.max(...worst.slice(0, 5)) <= 4, worst.join());
});
