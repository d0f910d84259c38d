/** Collectives between real processes: values, equal bits, and what becomes of a rank that is gone, frozen or late. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type Answer, RankGroup } from '../support/collectives/rankGroup.js';
import { bytesOf, sha256, valuesOf } from '../support/collectives/values.js';

afterEach(() => RankGroup.killAll());

/** More than a bucket of 4 MiB, one that fills several alone, and small ones. */
const SIZES = [5, 700_000, 600_000, 3, 1_300_000];

for (const size of [2, 3, 4]) {
  test(`${size} ranks: sums, means, gathers and broadcasts, with equal bits each time`, async () => {
    const group = await RankGroup.start(size);
    // A broadcast in two pieces, or in many.
    const pieces = size === 2 ? {} : { pieceBytes: 2 ** 16 };
    for (const { error, message } of await group.all({ call: 'join', ...pieces })) {
      assert.equal(error, undefined, message);
    }
    const ranks = Array.from({ length: size }, (_, rank) => rank);
    for (const over of ['sum', 'mean'] as const) {
      const first = await group.all({ call: 'reduce', sizes: SIZES, over });
      const again = await group.all({ call: 'reduce', sizes: SIZES, over });
      for (const { sha } of [...first, ...again]) assert.deepEqual(sha, first[0]!['sha'], over);
      const parts = ranks.map((rank) => valuesOf(rank, SIZES[0]!));
      (first[0]!['first'] as number[]).forEach((got, i) => {
        const sum = parts.reduce((total, part) => total + part[i]!, 0);
        const wanted = over === 'sum' ? sum : sum / size;
        assert.ok(Math.abs(got - wanted) < 1e-6, `${over} ${i}: ${got}, wanted ${wanted}`);
      });
    }
    // Sent at once, and in a ring.
    for (const count of [7, 20_000]) {
      const gathered = Buffer.concat(ranks.map((rank) => bytesOf(valuesOf(rank, count))));
      for (const { sha } of await group.all({ call: 'gather', sizes: [count] })) {
        assert.equal(sha, sha256(gathered), `${count} numbers`);
      }
    }
    // Rank r has 101 r bytes, rank 0 none.
    const ragged = ranks.map((rank) => {
      const bytes = bytesOf(valuesOf(rank, 101 * rank)).slice(0, 101 * rank);
      return [bytes.length, sha256(bytes)];
    });
    const equal = ranks.map((rank) => {
      const bytes = bytesOf(valuesOf(rank, 101)).slice(0, 101);
      return [bytes.length, sha256(bytes)];
    });
    for (const answer of await group.all({ call: 'bytes', sizes: [101] })) {
      assert.deepEqual(answer['parts'], ragged);
      assert.deepEqual(answer['equal'], equal);
    }
    const sent = sha256(bytesOf(valuesOf(0, 1_500_001)));
    for (const { sha } of await group.all({ call: 'broadcast', sizes: [1_500_001] })) {
      assert.equal(sha, sent);
    }
    for (const { tensors } of await group.all({ call: 'close' })) assert.equal(tensors, 0);
    const codes = await Promise.all(group.ranks.map((rank) => rank.end()));
    assert.deepEqual(codes, Array(size).fill(0));
  });
}

test('more than ten ranks are gathered in their order, not in that of their names', async () => {
  const group = await RankGroup.start(11);
  await group.all({ call: 'join' });
  const ranks = Array.from({ length: 11 }, (_, rank) => rank);
  for (const count of [2, 20_000]) {
    const gathered = Buffer.concat(ranks.map((rank) => bytesOf(valuesOf(rank, count))));
    for (const { sha } of await group.all({ call: 'gather', sizes: [count] })) {
      assert.equal(sha, sha256(gathered), `${count} numbers`);
    }
  }
});

const TIMEOUT_MS = 4000;

/** Every other rank has a RankLostError that names rank `lost` in time. */
function assertNamed(answers: readonly Answer[], lost: number, limitMs: number): void {
  for (const { error, message, ms } of answers) {
    assert.equal(error, 'RankLostError', message);
    assert.match(message!, new RegExp(`lost rank ${lost} \\(127.0.0.1:\\d+\\)`));
    assert.ok(ms < limitMs, `${ms} ms, wanted less than ${limitMs}`);
  }
}

for (const lost of [0, 2]) {
  test(`rank ${lost} of three is killed: the others name it, in a collective and afterwards`, async () => {
    const group = await RankGroup.start(3);
    await group.all({ call: 'join', timeoutMs: TIMEOUT_MS });
    const others = group.ranks.filter((_, rank) => rank !== lost);
    const waiting = group.all({ call: 'reduce', sizes: [9] }, others);
    setTimeout(() => group.ranks[lost]!.signal('SIGKILL'), 300);
    assertNamed(await waiting, lost, 300 + TIMEOUT_MS + 5000);
    assertNamed(await group.all({ call: 'gather', sizes: [1] }, others), lost, 2000);
    // No wait for a group that is over, and nothing is left behind.
    for (const { closed, tensors } of await group.all({ call: 'close' }, others)) {
      assert.equal(closed, true);
      assert.equal(tensors, 0);
    }
    assert.deepEqual(await Promise.all(others.map((rank) => rank.end())), [0, 0]);
  });
}

test('a frozen rank is named in time; one that only takes long is waited for', async () => {
  const group = await RankGroup.start(3);
  await group.all({ call: 'join', timeoutMs: TIMEOUT_MS });
  const others = group.ranks.slice(0, 2);
  const early = group.all({ call: 'reduce', sizes: [9] }, others);
  await new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT_MS));
  const late = await group.ranks[2]!.call({ call: 'reduce', sizes: [9] });
  for (const { sha } of await early) assert.deepEqual(sha, late['sha']);
  group.ranks[2]!.signal('SIGSTOP');
  assertNamed(await group.all({ call: 'reduce', sizes: [9] }, others), 2, TIMEOUT_MS + 6000);
});

test('a rank that answers, but comes later than lateMs, is an error, too', async () => {
  const group = await RankGroup.start(2);
  await group.all({ call: 'join', lateMs: 2000 });
  const { error, message, ms } = await group.ranks[0]!.call({ call: 'reduce', sizes: [9] });
  assert.equal(error, 'RankLostError', message);
  assert.match(message!, /rank 0 of 2: all-reduce sum: a rank is late by more than 2 s/);
  assert.ok(ms > 1900 && ms < 8000, `${ms} ms`);
});

test('a rank that never starts: joining ends in time', async () => {
  const group = await RankGroup.start(2);
  group.ranks[1]!.signal('SIGKILL');
  const { error, message, ms } = await group.ranks[0]!.call({ call: 'join', startTimeoutMs: 3000 });
  assert.equal(error, 'RankLostError', message);
  assert.match(message!, /rank 1/);
  assert.ok(ms < 15_000, `${ms} ms`);
});

test('a group that is joined and left 200 times has no thread and no descriptor more', async () => {
  const group = await RankGroup.start(2);
  const first = await group.all({ call: 'rejoin', times: 20 });
  const last = await group.all({ call: 'rejoin', times: 180 });
  for (const [rank, { threads, descriptors, tensors, message }] of last.entries()) {
    assert.equal(message, undefined);
    assert.equal(tensors, 0);
    // TensorFlow's own threads come and go; one left behind by each joining would make 180.
    const more = [threads, descriptors].map(
      (count, i) => Number(count) - Number(first[rank]![i === 0 ? 'threads' : 'descriptors']),
    );
    assert.ok(
      more.every((count) => count < 20),
      `rank ${rank}: ${more} threads and descriptors more`,
    );
  }
});
