/**
 * Our student learns from networks on servers that others wrote, a real Triton and a real MLServer, with every
 * term. One of them is killed in the middle and brought back: every batch is trained on once and in order, and the
 * weights are those of a run that nothing disturbed.
 *
 * Both run the same graph, which PyTorch made of a DeepLab of this project, with the same release of onnxruntime
 * on one thread, so that an answer has the same bits wherever it comes from.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import {
  type DeeplabTeacher,
  servedDeeplab,
  writeDeeplabTeacher,
} from '../../support/peers/oip/deeplabTeacher.js';
import { startMlserver } from '../../support/peers/oip/mlserver.js';
import { PeerServer } from '../../support/peers/oip/peerServer.js';
import { startTriton } from '../../support/peers/oip/tritonServer.js';
import { TeacherProcess } from '../../support/teachers/teacherProcess.js';
import { type FleetStudent, FleetRuns, STEPS } from '../../support/training/fleetRuns.js';

const MODEL = 'deeplab';
/** With two servers that take so long for an image, a run lasts long enough for one to come back. */
const DELAY_MS = 200;
/** What neither server says: the normalisation. */
const SETTINGS = ['teacher.oip.normalisation=imagenet', 'teacher.requestTimeoutMs=10000'];
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

interface Place {
  readonly server: PeerServer;
  readonly address: string;
}

const folder = mkdtempSync(join(tmpdir(), 'cirkd-peers-'));
let deeplab: DeeplabTeacher;
let runs: FleetRuns;
let triton: Place;
let mlserver: Place;

const placeOf = (server: PeerServer): Place => ({
  server,
  address: `oip://${server.address}/${MODEL}`,
});

before(async () => {
  deeplab = await writeDeeplabTeacher(folder);
  const fast = placeOf(await startTriton([servedDeeplab(deeplab, { name: MODEL })]));
  runs = await FleetRuns.openWith(fast, SETTINGS);
  await fast.server.close();
  const slow = { ...servedDeeplab(deeplab, { name: MODEL }), delayMs: DELAY_MS };
  triton = placeOf(await startTriton([slow]));
  mlserver = placeOf(await startMlserver([slow]));
});
afterEach(() => runs?.killAll());
after(async () => {
  runs?.close();
  await PeerServer.killAll();
  rmSync(folder, { recursive: true });
});

test('an undisturbed run on Triton has every term at every step', () => {
  for (const { step, terms } of runs.run('undisturbed').steps()) {
    for (const term of TERMS) {
      const value = terms[term];
      assert.ok(Number.isFinite(value), `step ${step}: ${term} is ${value}`);
      // The banks are empty at first.
      if (step > STEPS / 2) assert.ok(value! > 0, `step ${step}: ${term} is ${value}`);
    }
  }
});

test('our own teacher with the same weights gives nearly the same terms', async () => {
  const ours = new TeacherProcess('--checkpoint', deeplab.modelFile);
  await ours.ready();
  const address = `127.0.0.1:${(await ours.listening()).grpcPort}`;
  const student = runs.student('ours', [{ address }], 'teacher.encoding=fp32');
  assert.equal(await student.exit(), 0, student.stderr);
  ours.kill();
  const [got, wanted] = [runs.run('ours').steps(), runs.run('undisturbed').steps()];
  for (const [index, { samples, terms }] of wanted.entries()) {
    assert.deepEqual(got[index]!.samples, samples);
    // onnxruntime and our kernels sum in other orders; training spreads that.
    for (const term of TERMS) {
      const [a, b] = [got[index]!.terms[term]!, terms[term]!];
      const apart = Math.abs(a - b) / Math.max(1e-3, Math.abs(b));
      assert.ok(apart < (index === 0 ? 1e-4 : 0.05), `step ${index + 1}: ${term} ${a}, ${b}`);
    }
  }
});

for (const killed of ['Triton', 'MLServer'] as const) {
  test(`${killed} is killed in the middle and brought back: every batch once, in order`, async () => {
    const victim = killed === 'Triton' ? triton : mlserver;
    const student = runs.student(killed, [triton, mlserver]);
    await student.did(6);
    assert.ok(servedBy(student, victim), student.stderr);
    await victim.server.kill();
    const states = student.states(victim).length;
    await student.did(9);
    await victim.server.restart();
    // It is asked again before the run ends.
    await student.until(() => student.states(victim).slice(states).includes('ready'));
    assert.equal(await student.exit(), 0, student.stderr);
    runs.assertUndisturbed(killed);
    assert.ok(student.requeued(victim).length > 0, `nothing was under way:\n${student.stderr}`);
  });
}

test('Triton alone, killed: the student waits for it and goes on', async () => {
  const student = runs.student('alone', [triton]);
  await student.did(4);
  await triton.server.kill();
  await triton.server.restart();
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('alone');
});

/** Whether a teacher was ready at some time. */
function servedBy(student: FleetStudent, teacher: Place): boolean {
  return student.states(teacher).includes('ready');
}
