/** All-reduces in the background between real processes: values, other collectives meanwhile, and lost ranks. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { CollectiveUse } from '../../src/collectives/collective.js';
import { RankGroup } from '../support/collectives/rankGroup.js';
import { bytesOf, sha256, valuesOf } from '../support/collectives/values.js';

afterEach(() => RankGroup.killAll());

/** Two of one shape, which share a key. */
const SIZES = [500_000, 7, 500_000, 1_000_000];

test('the bits of all-reduces in the foreground, with gathers meanwhile that come before or after them', async () => {
  const group = await RankGroup.start(3);
  await group.all({ call: 'join' });
  const wanted: unknown[] = [];
  for (const size of SIZES) {
    const [first] = await group.all({ call: 'reduce', sizes: [size], over: 'mean' });
    wanted.push((first!['sha'] as string[])[0]);
  }
  const gathered = sha256(Buffer.concat([0, 1, 2].map((rank) => bytesOf(valuesOf(rank, 7)))));
  for (let round = 0; round < 3; round++) {
    // Rank 0 starts its reductions only after the gathers, for which the others have waited.
    const [late, ...early] = group.ranks;
    const pending = group.all({ call: 'start', sizes: SIZES, over: 'mean', gathers: 20 }, early);
    const before = await late!.call({ call: 'start', gathers: 20 });
    for (const { sha } of [before, ...(await pending)]) {
      assert.deepEqual(sha, Array(20).fill(gathered));
    }
    const ending = group.all({ call: 'end' }, early);
    await late!.call({ call: 'start', sizes: SIZES, over: 'mean' });
    for (const { sha, message } of [await late!.call({ call: 'end' }), ...(await ending)]) {
      assert.deepEqual(sha, wanted, message);
    }
  }
  for (const { tensors, use } of await group.all({ call: 'close' })) {
    assert.equal(tensors, 0);
    const { background } = use as CollectiveUse;
    assert.ok(background.seconds > 0, `${background.seconds} s`);
  }
});

test('a student whose gradients are sent during the backward pass has the bits of one that sends them later', async () => {
  const group = await RankGroup.start(3);
  await group.all({ call: 'join', timeoutMs: 30_000 });
  const overlapped = await group.all({ call: 'train', overlap: true });
  const later = await group.all({ call: 'train', overlap: false });
  for (const { sha, message } of [...overlapped, ...later]) {
    assert.equal(message, undefined);
    assert.equal(sha, overlapped[0]!['sha']);
  }
  const uses = [overlapped, later].map((each) => each[0]!['use'] as CollectiveUse);
  assert.equal(uses[0]!.calls, uses[1]!.calls);
  assert.deepEqual(uses[0]!.bytes, uses[1]!.bytes);
});

test('a rank that is killed meanwhile: the others end with an error that names it', async () => {
  const group = await RankGroup.start(3);
  await group.all({ call: 'join', timeoutMs: 4000 });
  const others = group.ranks.slice(0, 2);
  await group.all({ call: 'start', sizes: SIZES }, others);
  setTimeout(() => group.ranks[2]!.signal('SIGKILL'), 300);
  for (const { error, message, ms } of await group.all({ call: 'end' }, others)) {
    assert.equal(error, 'RankLostError', message);
    assert.match(message!, /all-reduce sum: lost rank 2 \(127.0.0.1:\d+\)/);
    assert.ok(ms < 9000, `${ms} ms`);
  }
  // Later calls fail at once.
  for (const call of ['start', 'gather']) {
    const answers = await group.all({ call, sizes: [5] }, others);
    for (const { error, message } of answers) assert.equal(error, 'RankLostError', message);
  }
  assert.deepEqual(await Promise.all(others.map((rank) => rank.end())), [0, 0]);
});

test('a rank that comes too late to a reduction in the background is an error; a gather meanwhile has its own time', async () => {
  const group = await RankGroup.start(2);
  await group.all({ call: 'join', lateMs: 2000 });
  await group.ranks[0]!.call({ call: 'start', sizes: [9] });
  await group.all({ call: 'gather', sizes: [7] });
  const { error, message, ms } = await group.ranks[0]!.call({ call: 'end' });
  assert.equal(error, 'RankLostError', message);
  assert.match(message!, /rank 0 of 2: all-reduce sum: a rank is late by more than 2 s/);
  assert.ok(ms < 8000, `${ms} ms`);
});

test('a process may end while a reduction is pending, or while it waits for one', async () => {
  const group = await RankGroup.start(2);
  await group.all({ call: 'join' });
  const [rank] = group.ranks;
  await rank!.call({ call: 'start', sizes: SIZES });
  const waiting = rank!.call({ call: 'end' });
  // What interrupts collectives (services/student/group/membership.ts).
  setTimeout(() => rank!.signal('SIGURG'), 300);
  const { error, message, ms } = await waiting;
  assert.equal(error, 'RankLostError', message);
  assert.ok(ms < 8000, `${ms} ms`);
  assert.equal(await rank!.end(), 0);

  const other = await RankGroup.start(2);
  await other.all({ call: 'join' });
  await other.ranks[0]!.call({ call: 'start', sizes: SIZES });
  assert.equal(await other.ranks[0]!.end(), 0);
});
