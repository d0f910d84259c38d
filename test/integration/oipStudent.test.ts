/**
 * A student of a network on two servers of the Open Inference Protocol, as processes: one with Triton's
 * extensions (a stream), one without (a call an image). One is killed and brought back: every batch
 * once, in order, and the weights of a run that nothing disturbed.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NetworkServer } from '../support/oip/networkServer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { FleetRuns, STEPS } from '../support/training/fleetRuns.js';
import { tinyTeacher } from '../support/training/tinyRun.js';

/** So long for an image that a run lasts until a killed server is back. */
const DELAY_MS = 120;
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
/** What the servers don't say. */
const SETTINGS = ['teacher.oip.normalisation=imagenet'];

const folder = mkdtempSync(join(tmpdir(), 'cirkd-oip-'));
let modelFile: string;
let runs: FleetRuns;
let streaming: NetworkServer;
let calling: NetworkServer;

before(async () => {
  modelFile = tinyTeacher(folder);
  const fast = await NetworkServer.start({ modelFile, hasTritonExtensions: true, delayMs: 0 });
  runs = await FleetRuns.openWith(fast, SETTINGS);
  await fast.kill();
  const slow = { modelFile, delayMs: DELAY_MS };
  streaming = await NetworkServer.start({ ...slow, hasTritonExtensions: true });
  calling = await NetworkServer.start({ ...slow, hasTritonExtensions: false });
});
afterEach(() => runs?.killAll());
after(() => {
  runs?.close();
  NetworkServer.killAll();
  rmSync(folder, { recursive: true });
});

test('every term has a value at every step', () => {
  const steps = runs.run('undisturbed').steps();
  assert.equal(steps.length, STEPS);
  for (const { step, terms } of steps) {
    for (const term of TERMS) {
      assert.ok(Number.isFinite(terms[term]), `step ${step}: ${term} is ${terms[term]}`);
      // The banks are empty at first.
      if (step > STEPS / 2) assert.ok(terms[term]! > 0, `step ${step}: ${term} is ${terms[term]}`);
    }
  }
});

test('over our own stream the same network teaches nearly the same', async () => {
  const ours = new TeacherProcess('--checkpoint', modelFile);
  try {
    await ours.ready();
    const address = `127.0.0.1:${(await ours.listening()).grpcPort}`;
    const student = runs.student('ours', [{ address }]);
    assert.equal(await student.exit(), 0, student.stderr);
  } finally {
    ours.kill();
  }
  const [got, wanted] = [runs.run('ours').steps(), runs.run('undisturbed').steps()];
  assert.deepEqual(
    got.map(({ samples }) => samples),
    wanted.map(({ samples }) => samples),
  );
  // Pixels and logits have the same bits; the feature's norms are summed in another order.
  for (const term of TERMS) {
    const [a, b] = [got[0]!.terms[term]!, wanted[0]!.terms[term]!];
    assert.ok(Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b)), `${term}: ${a}, ${b}`);
  }
});

for (const [name, victimOf] of [
  ['the one with a stream', () => streaming],
  ['the one with calls', () => calling],
] as const) {
  test(`${name} is killed in the middle and brought back`, async () => {
    const victim = victimOf();
    const student = runs.student(name.replaceAll(' ', '-'), [streaming, calling]);
    await student.did(5);
    assert.deepEqual(student.states(streaming), ['ready']);
    assert.deepEqual(student.states(calling), ['ready']);
    await victim.kill();
    await student.did(8);
    await victim.restart();
    await student.until(
      () => student.states(victim).filter((state) => state === 'ready').length > 1,
    );
    assert.equal(await student.exit(), 0, student.stderr);
    runs.assertUndisturbed(name.replaceAll(' ', '-'));
    assert.ok(student.requeued(victim).length > 0, `nothing was under way:\n${student.stderr}`);
  });
}
