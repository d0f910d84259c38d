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
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { NetworkServer } from '../support/oip/networkServer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { FleetRuns, STEPS } from '../support/training/fleetRuns.js';
import { tinyTeacher } from '../support/training/tinyRun.js';

/** So long for an image that the run isn't over before the killed server is back. */
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
    // So that images are under way there when it is killed, however slow the student is.
    await victim.hold();
    await victim.kill();
    await student.did(8);
    // The run mustn't end before the other one is back.
    const survivor = victim === streaming ? calling : streaming;
    survivor.freeze();
    await victim.restart();
    await student.until(
      () => student.states(victim).filter((state) => state === 'ready').length > 1,
    );
    survivor.thaw();
    assert.equal(await student.exit(), 0, student.stderr);
    runs.assertUndisturbed(name.replaceAll(' ', '-'));
    assert.ok(student.requeued(victim).length > 0, `nothing was under way:\n${student.stderr}`);
  });
}

const SIZE = ['--height', '48', '--width', '96'];
const DATA = ['--data', 'synthetic', ...SIZE, '--limit', '2', '--json'];

async function cirkd(...args: string[]): Promise<CirkdProcess> {
  const process = new CirkdProcess(...args);
  await process.exit();
  return process;
}

test('evaluate sees what the model file sees, and asks for what nobody says', async () => {
  const oip = ['--teacher', calling.address];
  const keys = ['--oip', 'normalisation=imagenet', '--oip', 'alignCorners=true'];
  const there = await cirkd('evaluate', ...oip, ...keys, ...DATA);
  assert.equal(there.exitCode, 0, there.stderr);
  const here = await cirkd('evaluate', '--model', modelFile, ...DATA);
  assert.deepEqual(JSON.parse(there.stdout).confusion, JSON.parse(here.stdout).confusion);
  const asked = await cirkd('evaluate', ...oip, ...DATA);
  assert.equal(asked.exitCode, 2, asked.stderr);
  assert.match(
    asked.stderr,
    /teacher\.oip\.normalisation: missing, wanted .*the server says: model seg/,
  );
});

test('a student ends with 2 for a missing key, with 4 for a model that does not fit', async () => {
  const asked = runs.student('asked', [streaming], 'teacher.oip.normalisation=null');
  assert.equal(await asked.exit(), 2, asked.stderr);
  assert.match(asked.stderr, /teacher\.oip\.normalisation: missing/);
  const misfit = runs.student('misfit', [streaming], 'teacher.oip.outputStride=4');
  assert.equal(await misfit.exit(), 4, misfit.stderr);
  assert.match(
    misfit.stderr,
    /outputStride: 4 given, the model's logits are 4 x 4 for an image of 32/,
  );
  const unknown = { address: streaming.address.replace('segmenter', 'other') };
  const refused = runs.student('refused', [unknown]);
  assert.equal(await refused.exit(), 4, refused.stderr);
  assert.match(refused.stderr, /NOT_FOUND: Request for unknown model: 'other' is not found/);
});

test('without a feature its terms are left out by name', async () => {
  const settings = ['teacher.oip.feature=none', 'train.steps=3'];
  const student = runs.student('featureless', [calling], ...settings);
  assert.equal(await student.exit(), 0, student.stderr);
  assert.match(
    student.stderr,
    /"terms":\["minibatch_pixel","memory_pixel","memory_region"\].*terms left out/,
  );
  const [first] = runs.run('featureless').steps();
  assert.deepEqual(Object.keys(first!.terms), ['task', 'logits_kd', 'total']);
});
