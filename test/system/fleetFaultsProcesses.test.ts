/**
 * Teachers that are killed, frozen, restarted, replaced or all gone while a student trains: every
 * batch is trained on once and in order, and the weights are those of a run that nothing disturbed.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawsFor } from '../../src/random/draws.js';
import { FleetRuns, STEPS } from '../support/training/fleetRuns.js';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';

let runs: FleetRuns;

before(async () => {
  runs = await FleetRuns.open();
});
afterEach(() => runs.killAll());
after(() => runs.close());

const fleet = (teachers: number) =>
  Promise.all(Array.from({ length: teachers }, () => FleetTeacher.start()));

test('kill -9 at random times: restarted teachers finish the run', async () => {
  const [spared, ...victims] = await fleet(4);
  const student = runs.student('killed', [spared!, ...victims]);
  const draws = drawsFor(1, 'test');
  const deaths = victims.map(async (victim) => {
    const [step, delayMs] = [2 + draws.integer(8), draws.integer(150)];
    await student.did(step);
    await sleep(delayMs);
    await victim.kill();
    await victim.restart();
  });
  await student.did(12);
  // From here on only those that were killed can answer.
  await spared!.kill();
  await Promise.all(deaths);
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('killed');
  for (const one of [spared!, ...victims]) {
    assert.ok(student.states(one).includes('backoff'), `${one.address} was never missed`);
  }
  assert.ok(student.requeued().includes('stream'), 'no image was at a teacher that died');
});

test('SIGSTOP beyond the deadline, then SIGCONT: images go elsewhere, and the teacher is used again', async () => {
  const [frozen, ...others] = await fleet(3);
  const student = runs.student('frozen', [frozen!, ...others], 'teacher.requestTimeoutMs=1500');
  await student.did(4);
  frozen!.freeze();
  await student.until(() => student.requeued(frozen).includes('timeout'));
  frozen!.thaw();
  const answered = await frozen!.answered();
  // The rest can only come from the teacher that was away.
  for (const other of others) await other.kill();
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('frozen');
  assert.ok((await frozen!.answered()) > answered, 'no answer after SIGCONT');
});

test('SIGTERM to one teacher after the other: each drains, and its successor takes over', async () => {
  const teachers = await fleet(3);
  const student = runs.student('rolling', teachers);
  await student.did(2);
  for (const one of teachers) {
    const others = teachers.filter((other) => other !== one);
    // Images wait at them, and so the run, however long a start takes on a busy machine.
    for (const other of others) other.freeze();
    assert.equal(await one.terminate(), 0);
    await one.restart();
    await student.until(() => student.states(one).at(-1) === 'ready');
    for (const other of others) other.thaw();
  }
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('rolling');
  for (const one of teachers) {
    assert.deepEqual(student.states(one), ['ready', 'draining', 'backoff', 'ready', 'closed']);
    assert.ok((await one.answered()) > 0, 'a successor without an answer');
  }
  // What a teacher had accepted it answered; only what crossed its farewell was sent elsewhere.
  assert.deepEqual(
    student.requeued().filter((reason) => reason !== 'draining'),
    [],
  );
});

test('a joining and a returning teacher with other weights are refused', async () => {
  const [right, changed, joining] = await fleet(3);
  await joining!.kill();
  const student = runs.student('mixed', [right!, changed!, joining!]);
  await student.did(2);
  // The run waits, however long a start takes on a busy machine.
  for (const one of [right!, changed!]) one.freeze();
  await joining!.restart(['simulate.seed=1']);
  await student.until(() => student.states(joining!).includes('refused'));
  await changed!.kill();
  await changed!.restart(['simulate.seed=1']);
  await student.until(() => student.states(changed!).includes('refused'));
  right!.thaw();
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('mixed');
  assert.match(student.stderr, /digest: teacher \S+ has sha256:\w+, the first teacher's/);
  assert.deepEqual([await changed!.answered(), await joining!.answered()], [0, 0]);
});

test('when all teachers go away and return in time, the run continues', async () => {
  const teachers = await fleet(3);
  const student = runs.student('gone', teachers);
  await student.did(6);
  await Promise.all(teachers.map((one) => one.kill()));
  await student.until(() => teachers.every((one) => student.states(one).includes('backoff')));
  await Promise.all(teachers.map((one) => one.restart()));
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('gone');
});

test('when all teachers are away too long: exit code 3 and saved state; resumed, the same weights', async () => {
  const teachers = await fleet(3);
  const student = runs.student('late', teachers, 'teacher.teacherTimeoutMs=4000');
  await student.did(6);
  await Promise.all(teachers.map((one) => one.kill()));
  assert.equal(await student.exit(), 3, student.stderr);
  const run = runs.run('late');
  const [saved = 0, ...more] = run.checkpoints();
  assert.deepEqual(more, []);
  assert.ok(saved >= 6 && saved < STEPS, `saved at ${saved}`);
  assert.equal(run.steps().at(-1)?.step, saved);
  await Promise.all(teachers.map((one) => one.restart()));
  const resumed = runs.student('late', teachers, '--resume');
  assert.equal(await resumed.exit(), 0, resumed.stderr);
  runs.assertUndisturbed('late');
});
