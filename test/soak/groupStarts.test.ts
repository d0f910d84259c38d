/**
 * CIRKD_GROUP_STARTS (200) starts and ends of groups of two processes on the same ports: most of ranks that only
 * exchange, every tenth of whole students. They end by themselves, by a kill, a freeze or SIGTERM. Each time no process
 * and no listener may be left. About 10 minutes on two idle cores.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { freeAddresses } from '../../services/student/group/freeAddresses.js';
import { RankGroup } from '../support/collectives/rankGroup.js';
import { eventually } from '../support/eventually.js';
import { processesThatMention } from '../support/processes.js';
import { GroupRuns } from '../support/training/groupRuns.js';

const STARTS = Number(process.env.CIRKD_GROUP_STARTS ?? 200);
const STUDENT_EVERY = 10;
/** Long enough for a busy machine, short beside the wait for a rank that nobody misses. */
const LIMITS = { timeoutMs: 4000, startTimeoutMs: 120_000 };

const PORT_MS = 5000;

let runs: GroupRuns;
let addresses: readonly string[];

before(async () => {
  runs = await GroupRuns.open(1);
  addresses = await freeAddresses(2);
});
afterEach(() => {
  RankGroup.killAll();
  runs?.killAll();
});
after(() => runs?.close());

/** How a group of ranks ends. */
const ENDS = ['by itself', 'killed', 'both killed'] as const;

async function startRanks(how: (typeof ENDS)[number]): Promise<void> {
  const group = RankGroup.startAt(addresses);
  for (const { error, message } of await group.all({ call: 'join', ...LIMITS })) {
    assert.equal(error, undefined, message);
  }
  const [first, second] = await group.all({ call: 'reduce', sizes: [1000, 5] });
  assert.deepEqual(first!['sha'], second!['sha']);
  // In the background: a kill finds them under way.
  await group.all({ call: 'start', sizes: [100_000, 5], gathers: 3 });
  if (how === 'both killed') {
    RankGroup.killAll();
    return;
  }
  if (how === 'killed') {
    group.ranks[1]!.signal('SIGKILL');
    const { error, message } = await group.ranks[0]!.call({ call: 'reduce', sizes: [5] });
    assert.equal(error, 'RankLostError', message);
    await group.ranks[0]!.call({ call: 'close' });
    assert.equal(await group.ranks[0]!.end(), 0);
    return;
  }
  const [one, other] = await group.all({ call: 'end' });
  assert.deepEqual(one!['sha'], other!['sha']);
  await group.all({ call: 'close' });
  assert.deepEqual(await Promise.all(group.ranks.map((rank) => rank.end())), [0, 0]);
}

/** How a group of students ends: rank 1 is hit while both train, or while both wait for a teacher. */
const STUDENT_ENDS = [
  'by itself',
  'stopped',
  'killed',
  'killed waiting',
  'frozen waiting',
] as const;

async function startStudents(id: string, how: (typeof STUDENT_ENDS)[number]): Promise<void> {
  if (how === 'by itself' || how === 'stopped') return launchStudents(id, how === 'stopped');
  const isWaiting = how.endsWith('waiting');
  const settings = [
    ...[`distributed.workers=${JSON.stringify(addresses)}`, 'distributed.perMachine=2'],
    ...['train.steps=1000', ...(isWaiting ? ['teacher.addresses=["127.0.0.1:1"]'] : [])],
  ];
  const [first, second] = [0, 1].map((rank) =>
    runs.student(id, ...settings, `distributed.index=${rank}`),
  );
  if (isWaiting) await second!.says(/"url":"/);
  else await first!.says(/step 1\/1000 /);
  second!.signal(how === 'frozen waiting' ? 'SIGSTOP' : 'SIGKILL');
  assert.equal(await first!.exit(), 8, `${how}: ${first!.stderr}`);
  assert.match(first!.stderr, /lost rank 1 /);
  second!.kill();
  await second!.exit();
}

async function launchStudents(id: string, isStopped: boolean): Promise<void> {
  const student = runs.student(id, `train.steps=${isStopped ? 1000 : 1}`, '--workers', '2');
  if (isStopped) {
    await student.says(/\[rank 0\] step 1\/1000 /);
    student.signal('SIGTERM');
  }
  assert.equal(await student.exit(), isStopped ? 143 : 0, student.stderr);
}

/** Of a group that has ended: a killed process goes a moment after its signal. */
async function assertNothingLeft(mention: string): Promise<void> {
  await eventually(() => processesThatMention(mention).length === 0);
  // A process that ends has no command line any more while its descriptors are being closed.
  for (const address of addresses) {
    await eventually(() => canListen(Number(address.split(':')[1])), PORT_MS);
  }
}

/** TensorFlow listens on every interface, so this has to be possible on every one. */
function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}

test(`${STARTS} starts of a group leave no process and no listener`, async (t) => {
  const begin = performance.now();
  for (let start = 0; start < STARTS; start++) {
    if (start % STUDENT_EVERY === STUDENT_EVERY - 1) {
      const id = `started-${process.pid}-${start}`;
      const count = Math.floor(start / STUDENT_EVERY);
      await startStudents(id, STUDENT_ENDS[count % STUDENT_ENDS.length]!);
      await assertNothingLeft(`run.id=${id}`);
    } else {
      await startRanks(ENDS[start % ENDS.length]!);
      await assertNothingLeft(addresses[1]!);
    }
  }
  t.diagnostic(`${STARTS} starts in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
});
