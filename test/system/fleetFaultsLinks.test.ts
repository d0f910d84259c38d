/**
 * Answers that come corrupt, cut off, twice, late or not at all, over links that are slow or cut: a
 * student trains on every batch once and in order, and ends with the weights of a run that nothing
 * disturbed.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { FleetRuns } from '../support/training/fleetRuns.js';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';
import { LinkProxy } from '../support/connections/linkProxy.js';
import { NetworkNamespaces } from '../support/connections/networkNamespaces.js';

const DEADLINE = 'teacher.requestTimeoutMs=1200';
let runs: FleetRuns;
const links: LinkProxy[] = [];

before(async () => {
  runs = await FleetRuns.open();
});
afterEach(() => {
  runs.killAll();
  for (const link of links.splice(0)) link.close();
});
after(() => runs.close());

async function link(teacher: FleetTeacher): Promise<LinkProxy> {
  const proxy = await LinkProxy.start(teacher.port);
  links.push(proxy);
  return proxy;
}

test('a run survives corrupt, truncated and duplicate answers, and streams that end mid-answer', async () => {
  const [corrupt, truncating, doubling, broken] = await Promise.all([
    FleetTeacher.start(['faults.corruptEvery=3']),
    FleetTeacher.start(['faults.truncateEvery=3']),
    FleetTeacher.start(['faults.duplicateEvery=2']),
    FleetTeacher.start(),
  ]);
  const line = await link(broken!);
  // An answer takes 17 KiB.
  line.resetAfterBytes = 60_000;
  const student = runs.student('rubbish', [corrupt!, truncating!, doubling!, line], DEADLINE);
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('rubbish');
  const reasonsOf = (teacher: { readonly address: string }) => new Set(student.requeued(teacher));
  assert.ok(reasonsOf(corrupt!).has('crc'), student.stderr);
  // A piece that is missing is noticed at the deadline, one that is short at once.
  assert.ok(
    reasonsOf(truncating!).has('timeout') && reasonsOf(truncating!).has('shape'),
    student.stderr,
  );
  assert.ok(reasonsOf(doubling!).has('shape'), student.stderr);
  assert.ok(reasonsOf(line).has('stream') && line.resets > 0, student.stderr);
});

test('a run survives a slow link, one too slow for any answer, and a stalled teacher', async () => {
  const teachers = await Promise.all([
    FleetTeacher.start(['simulate.imageMs=50', 'faults.stallEvery=15', 'faults.stallMs=1500']),
    FleetTeacher.start(),
    FleetTeacher.start(),
  ]);
  const [slow, slower] = [await link(teachers[1]!), await link(teachers[2]!)];
  slow.bytesPerSecond = 128 * 1024;
  slower.bytesPerSecond = 2 * 1024;
  const student = runs.student('slow', [teachers[0]!, slow, slower], DEADLINE);
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('slow');
  for (const late of [teachers[0]!, slower]) {
    assert.ok(student.requeued(late).includes('timeout'), student.stderr);
  }
  assert.ok(slow.answerBytes > 0 && slower.answerBytes > 0);
});

test('while a link is silent its images go elsewhere; afterwards its teacher is used again', async () => {
  const [cut, ...others] = await Promise.all([1, 2, 3].map(() => FleetTeacher.start()));
  const line = await link(cut!);
  const student = runs.student('silent', [line, ...others], DEADLINE);
  await student.did(3);
  line.silence();
  await student.until(() => student.requeued(line).includes('timeout'));
  line.speak();
  const bytes = line.answerBytes;
  // The rest can only come from the teacher that was cut off.
  for (const other of others) await other.kill();
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('silent');
  assert.ok(line.answerBytes > bytes, 'no answer after the silence');
});

test('while a network is cut its images go elsewhere; afterwards its teacher is used again', async (t) => {
  const networks = NetworkNamespaces.open();
  if (typeof networks === 'string') {
    t.skip(`no network namespaces here (${networks}); the test before cuts a proxy instead`);
    return;
  }
  t.after(() => networks.close());
  const near = { inside: { namespace: networks.near } };
  const far = { inside: { namespace: networks.far }, host: networks.farAddress };
  const [cut, ...others] = await Promise.all(
    [far, near, near].map((place) => FleetTeacher.start([], place)),
  );
  const student = runs.student('cut', [cut!, ...others], DEADLINE, near.inside);
  await student.did(3);
  networks.cut();
  await student.until(() => student.requeued(cut).includes('timeout'));
  const { length: asked } = student.requeued(cut);
  assert.ok(asked > 0);
  networks.mend();
  for (const other of others) await other.kill();
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('cut');
});
