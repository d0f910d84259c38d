/** Which teacher gets which image, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type Candidate, TeacherChoice } from '../../src/stream/client/choice.js';
import type { AttemptEvent } from '../../src/stream/client/options.js';
import { ImageRequest } from '../../src/stream/client/request.js';
import type { Image } from '../../src/stream/generated/cirkd/teacher/v1/Image.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf } from '../support/students/scriptedStudent.js';
import { student, teachers } from '../support/teachers/scriptedFleet.js';
import type { Script, ScriptedStream } from '../support/teachers/scriptedTeacher.js';

const ROOM = 8;

function teacher(address: string, load: number, msPerImage: number | undefined, more = {}) {
  const candidate: Candidate = {
    ...{ address, load, msPerImage, available: true, failing: false, refusal: undefined },
    ...{ cachesAnswers: false, joining: false },
    refusalOf: () => undefined,
    hasRoom: () => load < ROOM,
    ...more,
  };
  return candidate;
}

/** Addresses of those that are chosen, one after the other. */
function chosen(times: number, links: readonly Candidate[], ...failedAt: string[]) {
  const choice = new TeacherChoice();
  const request = new ImageRequest(imageOf(1), []);
  for (const address of failedAt) request.failedAt.add(address);
  return Array.from({ length: times }, () => choice.pick(request, links)?.address);
}

test('idle teachers get images in turn, regardless of their speed', () => {
  const links = [teacher('a', 0, 10), teacher('b', 0, 900), teacher('c', 1, 1)];
  assert.deepEqual(chosen(4, links), ['a', 'b', 'a', 'b']);
});

test('with no idle teacher, an image goes to the one expected to finish first, or waits if that one is full', () => {
  // Done after 40 and 200 ms.
  assert.deepEqual(chosen(2, [teacher('a', 3, 10), teacher('b', 1, 100)]), ['a', 'a']);
  // After 90 (full) and 200, 90 and 60.
  assert.deepEqual(chosen(1, [teacher('a', 8, 10), teacher('b', 1, 100)]), [undefined]);
  assert.deepEqual(chosen(1, [teacher('a', 8, 10), teacher('b', 1, 30)]), ['b']);
  assert.deepEqual(chosen(1, [teacher('a', 8, 10), teacher('b', 0, 100)]), ['b']);
});

test('a teacher without an answer yet counts as fast as the fastest', () => {
  const links = [teacher('a', 2, 100), teacher('b', 2, undefined), teacher('c', 2, 20)];
  assert.deepEqual(chosen(4, links), ['b', 'c', 'b', 'c']);
  assert.deepEqual(chosen(2, [teacher('a', 2, undefined), teacher('b', 1, undefined)]), ['b', 'b']);
});

test('images do not wait for failing or unavailable teachers, or for idle ones without room', () => {
  const sick = teacher('a', 1, 1, { failing: true, hasRoom: () => false });
  const away = teacher('b', 0, 1, { available: false });
  const closed = teacher('d', 0, 1, { hasRoom: () => false });
  assert.deepEqual(chosen(1, [sick, away, closed, teacher('c', 4, 100)]), ['c']);
});

test('a failed image goes to a healthy teacher, preferably one that has not failed it', () => {
  const [a, b] = [teacher('a', 5, 100), teacher('b', 0, 1)];
  const sick = teacher('c', 0, 1, { failing: true });
  assert.deepEqual(chosen(2, [a, b, sick], 'b'), ['a', 'a']);
  assert.deepEqual(chosen(2, [a, b, sick], 'a', 'b'), ['b', 'b']);
  assert.deepEqual(chosen(2, [sick], 'c'), ['c', 'c']);
  const busy = teacher('a', 8, 100);
  assert.deepEqual(chosen(1, [busy, b, sick], 'b'), [undefined]);
});

test('a requeued image is sent before images requested after it', async (t) => {
  let failed = false;
  const [scripted] = await teachers(t, {
    limits: { maxInflightImages: 2 },
    onImage: (stream, image) => {
      if (failed) return stream.answer(image);
      failed = true;
      return stream.error(image, { code: status.INTERNAL, message: 'once', retryable: true });
    },
  });
  const { teacher: fleet } = await student(t, [scripted!]);
  const images = Array.from({ length: 8 }, (_, i) => imageOf(i));
  const settled: number[] = [];
  await Promise.all(
    images.map(async (image, i) => {
      assertAnswers(await fleet.request(image), image);
      settled.push(i);
    }),
  );
  const asked = scripted!.images.map(({ id }) => id);
  assert.deepEqual(asked.slice(0, 3), [1, 2, 1]);
  assert.deepEqual(asked.slice(3), [3, 4, 5, 6, 7, 8]);
  assert.deepEqual(
    settled.sort((a, b) => a - b),
    images.map((_, i) => i),
  );
});

test('with ten failing teachers and one healthy, busy one, no image is given up', async (t) => {
  const sick: Script = {
    onImage: (stream, image) =>
      stream.error(image, { code: status.INTERNAL, message: 'broke', retryable: true }),
  };
  const well = async (stream: ScriptedStream, image: Image) => {
    await new Promise((resolve) => setTimeout(resolve, 3));
    await stream.answer(image);
  };
  const scripts = [{ limits: { maxInflightImages: 1 }, onImage: well }, ...Array(10).fill(sick)];
  const all = await teachers(t, ...scripts);
  const { teacher: fleet, observed } = await student(t, all, { maxBackoffMs: 4 });
  await eventually(() => observed.states.filter((state) => state.endsWith('ready')).length === 11);
  const images = Array.from({ length: 60 }, (_, i) => imageOf(i));
  const replies = await Promise.all(images.map((image) => fleet.request(image)));
  for (const [i, reply] of replies.entries()) assertAnswers(reply, images[i]!);
  assert.ok(observed.requeued.length >= 10, `${observed.requeued.length}`);
});

test('every attempt is reported: one id per image at all teachers, one outcome per attempt', async (t) => {
  const events: AttemptEvent[] = [];
  const all = await teachers(
    t,
    {
      onImage: (stream, image) =>
        stream.error(image, { code: status.INTERNAL, message: 'broke', retryable: true }),
    },
    {},
  );
  const { teacher: fleet, observed } = await student(t, all, {
    onAttempt: (event) => events.push(event),
  });
  await eventually(() => observed.states.filter((state) => state.endsWith('ready')).length === 2);
  const images = Array.from({ length: 6 }, (_, i) => ({ ...imageOf(i), batch: i + 10 }));
  await Promise.all(images.map((image) => fleet.request(image)));
  const answered = events.filter(({ kind }) => kind === 'answered');
  assert.deepEqual(
    answered.map(({ request, sample, batch }) => [request, sample, batch]).sort(),
    images.map(({ sample, batch }, i) => [i + 1, sample, batch]),
  );
  assert.ok(
    answered.every(({ teacher: address, bytes }) => address === all[1]!.address && bytes > 0),
  );
  const failed = events.filter(({ kind }) => kind === 'failed');
  assert.equal(failed.length, observed.requeued.length);
  assert.match(failed[0]!.reason, /^error: INTERNAL: broke$/);
  const key = ({ request, attempt, teacher: address }: AttemptEvent) =>
    `${request} ${attempt} ${address}`;
  const sent = events.filter(({ kind }) => kind === 'sent').map(key);
  assert.deepEqual(sent.sort(), [...answered, ...failed].map(key).sort());
  // What the teachers saw is what was told.
  const seen = all.flatMap(({ images: received, address }) =>
    received.map(({ id, attempt }) => `${id} ${attempt} ${address}`),
  );
  assert.deepEqual(seen.sort(), sent);
});

/** Images 1 to `images` of different pixels, and the address that each is sent to. */
function homes(images: number, links: readonly Candidate[]): (string | undefined)[] {
  const choice = new TeacherChoice();
  return Array.from({ length: images }, (_, n) =>
    choice.pick(new ImageRequest(imageOf(n + 1), []), links),
  ).map((link) => link?.address);
}

const keeping = (address: string, load: number, msPerImage: number | undefined, more = {}) =>
  teacher(address, load, msPerImage, { cachesAnswers: true, ...more });

test('with teachers that keep answers every student sends an image to the same one', () => {
  const links = ['10.0.0.1:50051', '10.0.0.2:50051', '10.0.0.3:50051'].map((address, load) =>
    keeping(address, load, 10 + load),
  );
  const chosen = homes(600, links);
  assert.deepEqual(homes(600, links.toReversed()), chosen);
  for (const { address } of links) {
    const share = chosen.filter((one) => one === address).length / 600;
    assert.ok(share > 0.25 && share < 0.42, `${address} gets ${share}`);
  }
  // When one goes, no image changes between those that stay.
  const fewer = homes(600, links.slice(0, 2));
  const moved = chosen.filter((address, n) => address !== fewer[n]);
  assert.deepEqual([...new Set(moved)], [links[2]!.address]);
});

test('a home that is slow, busy, sick or away is left, one that joins is waited for', () => {
  const [first] = homes(1, [keeping('a', 0, 10), keeping('b', 0, 10)]);
  const [home, other] = first === 'a' ? ['a', 'b'] : ['b', 'a'];
  const pick = (atHome: Candidate, elsewhere: Candidate) => homes(1, [atHome, elsewhere])[0];
  // The last image before the patience of four answers ends, and the first after it.
  assert.equal(pick(keeping(home, 4, 10), keeping(other, 0, 10)), home);
  assert.equal(pick(keeping(home, 5, 10), keeping(other, 0, 10)), other);
  assert.equal(pick(keeping(home, 3, 30), keeping(other, 0, 10)), home);
  assert.equal(pick(keeping(home, 5, 30), keeping(other, 0, 10)), other);
  assert.equal(pick(keeping(home, 1, 100), keeping(other, 0, 10)), other);
  assert.equal(pick(keeping(home, ROOM, 10), keeping(other, 5, 10)), undefined);
  assert.equal(pick(keeping(home, 0, 10, { failing: true }), keeping(other, 3, 10)), other);
  assert.equal(pick(keeping(home, 0, 10, { available: false }), keeping(other, 3, 10)), other);
  const joining = teacher(home, 0, undefined, {
    ...{ available: false, joining: true, hasRoom: () => false },
  });
  assert.equal(pick(joining, keeping(other, 0, 10)), undefined);
  // What joins may turn out to keep nothing; where nobody keeps anything nobody waits.
  assert.equal(pick(joining, teacher(other, 0, 10)), other);
});

test('an image that failed goes by the rules for those, home or not', () => {
  const links = [keeping('a', 0, 10), keeping('b', 0, 10)];
  const [home] = homes(1, links);
  const other = home === 'a' ? 'b' : 'a';
  assert.deepEqual(chosen(2, links, home!), [other, other]);
});
