/**
 * Our student and a real Triton whose model takes, computes and gives bfloat16: PyTorch in Triton's Python
 * backend, with tensors by DLPack.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TeacherImage } from '../../../src/contract/teacher.js';
import { drawsFor } from '../../../src/random/draws.js';
import { oipStudent } from '../../support/oip/oipStudent.js';
import {
  type DeeplabTeacher,
  networkOf,
  torchDeeplab,
  writeDeeplabTeacher,
} from '../../support/peers/oip/deeplabTeacher.js';
import { PeerServer } from '../../support/peers/oip/peerServer.js';
import { startTriton } from '../../support/peers/oip/tritonServer.js';
import { torchPeer } from '../../support/peers/torchPeer.js';
import { TeacherProcess } from '../../support/teachers/teacherProcess.js';
import { FleetRuns, STEPS } from '../../support/training/fleetRuns.js';

const PEER = fileURLToPath(new URL('bfloat16Peer.py', import.meta.url));
const MODEL = 'deeplab';
const [HEIGHT, WIDTH] = [40, 56];
const IMAGENET = {
  pixelMean: [123.675, 116.28, 103.53],
  pixelStd: [58.395, 57.12, 57.375],
  channelOrder: 'rgb',
} as const;
const SETTINGS = ['teacher.oip.normalisation=imagenet', 'teacher.oip.alignCorners=true'];
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-bfloat16-'));
let deeplab: DeeplabTeacher;
let address: string;
let runs: FleetRuns | undefined;

before(async () => {
  deeplab = await writeDeeplabTeacher(folder);
  const triton = await startTriton([torchDeeplab(deeplab, { name: MODEL })]);
  address = `oip://${triton.address}/${MODEL}`;
});
afterEach(() => runs?.killAll());
after(async () => {
  runs?.close();
  await PeerServer.killAll();
  rmSync(folder, { recursive: true });
});

function drawnImage(): TeacherImage {
  const draws = drawsFor(3, 'test');
  const rgb = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, () => draws.integer(256));
  return { sample: 'drawn', augmentationSeed: 1n, height: HEIGHT, width: WIDTH, rgb };
}

for (const stream of ['auto', 'never'] as const) {
  test(`logits and feature have PyTorch's own bits, stream: ${stream}`, async (t) => {
    const image = drawnImage();
    const pixels = join(folder, 'image.rgb');
    writeFileSync(pixels, image.rgb);
    const network = JSON.stringify(networkOf(deeplab.classes));
    const args = [deeplab.state, network, pixels, `${HEIGHT}`, `${WIDTH}`];
    const wanted = await torchPeer<{ logits: number[]; feature: number[] }>(PEER, ...args);

    const expected = { classes: deeplab.classes, outputStride: 8 };
    const settings = { normalisation: IMAGENET, stream };
    const { teacher, observed } = await oipStudent(t, [address], settings, { expected });
    assert.equal(teacher.info.numericMode, 'oip BF16');
    const reply = await teacher.request(image);
    assert.deepEqual(observed.requeued, []);
    const values = (tensor: typeof reply.logits) => new Float32Array(tensor!.data);
    assert.deepEqual([...values(reply.logits)], wanted.logits);
    // Nothing here is rounded away: the values are bfloat16's, and they differ.
    assert.ok(new Set(wanted.logits).size > 100, `${new Set(wanted.logits).size} logits differ`);
    const [rows, norms] = [values(reply.embedding), values(reply.featureNorm)];
    const channels = rows.length / norms.length;
    assert.equal(channels, deeplab.channels);
    const norm = (p: number) =>
      Math.hypot(...wanted.feature.slice(p * channels, (p + 1) * channels));
    assert.deepEqual(
      [...norms],
      Array.from(norms, (_, p) => Math.fround(norm(p))),
    );
    assert.deepEqual(
      [...rows],
      wanted.feature.map((value, i) => Math.fround(value / norms[Math.floor(i / channels)]!)),
    );
  });
}

test('30 steps with every term; the first is near to that of the same weights in float32', async () => {
  runs = await FleetRuns.openWith({ address }, SETTINGS);
  const steps = runs.run('undisturbed').steps();
  assert.equal(steps.length, STEPS);
  for (const { step, terms } of steps) {
    for (const term of TERMS) {
      assert.ok(Number.isFinite(terms[term]), `step ${step}: ${term} is ${terms[term]}`);
      // The banks are empty at first.
      if (step > STEPS / 2) assert.ok(terms[term]! > 0, `step ${step}: ${term} is ${terms[term]}`);
    }
  }
  const ours = new TeacherProcess('--checkpoint', deeplab.modelFile);
  await ours.ready();
  const own = { address: `127.0.0.1:${(await ours.listening()).grpcPort}` };
  const student = runs.student('ours', [own], 'teacher.encoding=fp32');
  assert.equal(await student.exit(), 0, student.stderr);
  ours.kill();
  const [got] = steps;
  const [wanted] = runs.run('ours').steps();
  assert.deepEqual(got!.samples, wanted!.samples);
  for (const term of TERMS) {
    const [a, b] = [got!.terms[term]!, wanted!.terms[term]!];
    assert.ok(Math.abs(a - b) <= 0.03 * Math.abs(b), `${term} ${a}, ${b}`);
  }
});
