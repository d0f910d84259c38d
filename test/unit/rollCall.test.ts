/** Ranks that look for one another on this machine's ports, in one process: who is missing, and whose list differs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { freeAddresses } from '../../services/student/group/freeAddresses.js';
import type { Place } from '../../services/student/group/rollCall/faults.js';
import { rollCall } from '../../services/student/group/rollCall/rollCall.js';

const LIMITS = { startTimeoutMs: 20_000, timeoutMs: 3000, staleMs: 500 };
/** Far below startTimeoutMs. */
const AT_ONCE_MS = 12_000;

/** 'joined', or the error's name and message, of each. */
async function outcomes(calls: readonly Promise<void>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((each) =>
    each.status === 'fulfilled' ? 'joined' : `${each.reason.name}: ${each.reason.message}`,
  );
}

const start = (places: readonly Place[], limits = LIMITS) =>
  outcomes(places.map((place) => rollCall(place, limits)));

const places = (workers: readonly string[]): Place[] =>
  workers.map((_, index) => ({ workers, index }));

/** Throws if another one still listens there. */
async function assertFree(address: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(address.split(':')[1]), resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

test('ranks that come one after the other join when the last is there, and leave their ports', async () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
  ]) {
    const workers = await freeAddresses(3);
    const calls: Promise<void>[] = [];
    let joined = 0;
    for (const index of order) {
      assert.equal(joined, 0, 'joined before all were there');
      calls.push(rollCall({ workers, index }, LIMITS).then(() => void joined++));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await Promise.all(calls);
    for (const address of workers) await assertFree(address);
  }
});

/** Two lists differ, and both ranks are named: only rank 0's counts as the right one. */
const named = (rank: number) =>
  new RegExp(`^RankMismatchError: .*rank ${rank} .*workers: got`, 's');

/** Whose place is changed, how, and whom the message names. */
const WRONG: readonly {
  readonly what: string;
  readonly rank: number;
  readonly change: (workers: readonly string[]) => Place;
  readonly message: RegExp;
}[] = [
  {
    what: 'a shorter list',
    rank: 1,
    change: (workers) => ({ workers: workers.slice(0, 2), index: 1 }),
    message: named(1),
  },
  {
    what: 'a longer list',
    rank: 2,
    change: (workers) => ({ workers: [...workers, '127.0.0.1:1'], index: 2 }),
    message: named(2),
  },
  {
    what: 'a list in another order, with the port of another rank',
    rank: 1,
    change: ([a, b, c]) => ({ workers: [a!, c!, b!], index: 1 }),
    message: named(1),
  },
  {
    what: "a list that begins with a rank that isn't the first",
    rank: 2,
    change: ([, b, c]) => ({ workers: [b!, c!], index: 1 }),
    message: named(1),
  },
  {
    what: 'a list whose first is the rank itself',
    rank: 1,
    change: ([a, b, c]) => ({ workers: [b!, a!, c!], index: 1 }),
    message: named(1),
  },
  {
    what: 'a list that is shorter at rank 0',
    rank: 0,
    change: ([a, b]) => ({ workers: [a!, b!], index: 0 }),
    message: /^RankMismatchError: .*distributed\.workers: got .*, rank 0 has /s,
  },
  {
    what: "another rank's index",
    rank: 2,
    change: (workers) => ({ workers, index: 1 }),
    message: /^RankMismatchError: .*rank 1 .*distributed\.index: got 1 in two processes/s,
  },
];

for (const { what, rank, change, message } of WRONG) {
  test(`${what}: all that are there are refused at once, and it is named`, async () => {
    const workers = await freeAddresses(3);
    const all = places(workers).map((place) => (place.index === rank ? change(workers) : place));
    const begin = performance.now();
    const ended = await start(all);
    const ms = performance.now() - begin;
    for (const each of ended) assert.match(each, message);
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
    for (const address of workers) await assertFree(address);
  });
}

test('ranks that do not come are named by all others, in time', async () => {
  const workers = await freeAddresses(4);
  const limits = { ...LIMITS, startTimeoutMs: 2000 };
  const without = async (missing: readonly number[]) =>
    start(
      places(workers).filter(({ index }) => !missing.includes(index)),
      limits,
    );
  for (const [missing, text] of [
    [[2], `lost rank 2 (${workers[2]}): not there within 2 s`],
    [[1, 3], `lost rank 1 (${workers[1]}), rank 3 (${workers[3]}): not there within 2 s`],
    [[0], `lost rank 0 (${workers[0]}): not there within 2 s`],
  ] as const) {
    for (const each of await without(missing)) {
      assert.match(each, /^RankLostError: rank \d of 4: start: lost/);
      assert.ok(each.includes(text), `${each}, wanted ${text}`);
    }
  }
});

test('a rank that ends and comes again is one rank; other programs are no rank', async () => {
  const workers = await freeAddresses(3);
  const [zero, one, two] = places(workers) as [Place, Place, Place];
  const first = rollCall(zero, LIMITS);
  const stop = new AbortController();
  const early = outcomes([rollCall(one, LIMITS, stop.signal)]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop.abort(new Error('stopped'));
  assert.deepEqual(await early, ['Error: stopped']);
  const stranger = connect(Number(workers[0]!.split(':')[1]), '127.0.0.1');
  stranger.on('error', () => {});
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  assert.deepEqual(await outcomes([first, rollCall(one, LIMITS), rollCall(two, LIMITS)]), [
    'joined',
    'joined',
    'joined',
  ]);
  stranger.destroy();
});

test('a rank whose port another program keeps ends all, and is named', async () => {
  for (const rank of [0, 1]) {
    const workers = await freeAddresses(3);
    // It never answers.
    const server = createServer((socket) => void socket.on('error', () => {}).resume());
    const port = Number(workers[rank]!.split(':')[1]);
    await new Promise<void>((resolve) => server.listen(port, resolve));
    const ended = await start(places(workers), { ...LIMITS, timeoutMs: 1000 });
    for (const each of ended) {
      assert.match(each, new RegExp(`^RankMismatchError: .*rank ${rank} \\(.*EADDRINUSE`, 's'));
    }
    await new Promise((resolve) => server.close(resolve));
  }
});

test('a rank of another group, whose list has no address of this one, disturbs nobody', async () => {
  const workers = await freeAddresses(2);
  const [zero, one] = places(workers) as [Place, Place];
  const first = rollCall(zero, LIMITS);
  const socket = connect(Number(workers[0]!.split(':')[1]), '127.0.0.1');
  const hello = {
    cirkd: 'roll call',
    process: 'x',
    workers: ['10.0.0.1:1', '10.0.0.2:1'],
    index: 1,
  };
  socket.write(`${JSON.stringify(hello)}\n`);
  const [reply] = (await once(socket, 'data')) as [Buffer];
  assert.match(reply.toString(), /"kind":"not_first".*another group's/);
  assert.deepEqual(await outcomes([first, rollCall(one, LIMITS)]), ['joined', 'joined']);
});
