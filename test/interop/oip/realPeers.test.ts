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
import { credentials } from '@grpc/grpc-js';
import { Authority } from '../../support/certificates/authority.js';
import { SecurityFolder } from '../../support/certificates/folder.js';
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
/** What neither server says: the normalisation, and that both have the same weights. */
const SETTINGS = [
  'teacher.oip.normalisation=imagenet',
  'teacher.oip.alignCorners=true',
  `teacher.oip.digest=sha256:${'7'.repeat(64)}`,
  'teacher.requestTimeoutMs=10000',
];
const TENANT = 'segmentation';
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

test('our own teacher with the same weights gives the same terms at first', async () => {
  const ours = new TeacherProcess('--checkpoint', deeplab.modelFile);
  await ours.ready();
  const address = `127.0.0.1:${(await ours.listening()).grpcPort}`;
  const student = runs.student('ours', [{ address }], 'teacher.encoding=fp32');
  assert.equal(await student.exit(), 0, student.stderr);
  ours.kill();
  const [got, wanted] = [runs.run('ours').steps(), runs.run('undisturbed').steps()];
  assert.deepEqual(
    got.map(({ samples }) => samples),
    wanted.map(({ samples }) => samples),
  );
  // onnxruntime and our kernels sum in other orders; what is left of that grows from update to update.
  for (const [index, most] of [1e-5, 1e-3].entries()) {
    for (const term of TERMS) {
      const [a, b] = [got[index]!.terms[term]!, wanted[index]!.terms[term]!];
      assert.ok(Math.abs(a - b) <= most * Math.abs(b), `step ${index + 1}: ${term} ${a}, ${b}`);
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

test('over TLS, with headers that Triton asks for, in half precision', async () => {
  const security = new SecurityFolder();
  const authority = new Authority();
  const ca = security.write('ca.crt', authority.certificate);
  const { certificate, key } = security.writePair('server', authority.issue());
  const half = servedDeeplab(deeplab, { name: MODEL, datatype: 'FP16' });
  const server = await startTriton([half], {
    flags: [
      ...['--grpc-use-ssl=true', `--grpc-root-cert=${ca.path}`],
      ...[`--grpc-server-cert=${certificate.path}`, `--grpc-server-key=${key.path}`],
      `--grpc-restricted-protocol=inference,metadata,model-config:tenant=${TENANT}`,
    ],
    credentials: credentials.createSsl(Buffer.from(authority.certificate)),
  });
  const there = { address: `oips://localhost:${server.port}/${MODEL}` };
  const tls = [`teacher.tls.ca=${ca.path}`, 'train.steps=3'];
  const stranger = runs.student('stranger', [there], ...tls, 'teacher.teacherTimeoutMs=5000');
  assert.notEqual(await stranger.exit(), 0, stranger.stderr);
  assert.match(stranger.stderr, /triton-grpc-protocol-tenant|restricted/);
  const headers = `teacher.oip.headers={"triton-grpc-protocol-tenant":"${TENANT}"}`;
  const student = runs.student('tls', [there], ...tls, headers);
  assert.equal(await student.exit(), 0, student.stderr);
  const [got] = runs.run('tls').steps();
  const [wanted] = runs.run('undisturbed').steps();
  for (const term of TERMS) {
    const [a, b] = [got!.terms[term]!, wanted!.terms[term]!];
    assert.ok(Math.abs(a - b) <= 0.02 * Math.abs(b), `${term} ${a}, ${b}`);
  }
  security.remove();
});

/** Whether a teacher was ready at some time. */
function servedBy(student: FleetStudent, teacher: Place): boolean {
  return student.states(teacher).includes('ready');
}
