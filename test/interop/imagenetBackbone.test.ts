/**
 * torchvision's MobileNetV2 as `student.backboneWeights: imagenet` brings it in: read as real PyTorch
 * reads it, taken over value by value, and worth something to a student.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importModel } from '../../services/cli/import/importModel.js';
import { ensureNamedBackbone } from '../../services/setup/backboneFiles.mjs';
import { BACKBONE_FILES } from '../../services/setup/pins.mjs';
import { readBackboneFile } from '../../src/models/foreign/backboneFile.js';
import { readModelFile } from '../../src/models/files/modelFile.js';
import { TORCHVISION_NORMALISATION } from '../../src/models/normalise.js';
import { readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { type Described, described } from '../support/modelFiles/describedTensors.js';
import { torchPeer } from '../support/peers/torchPeer.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const PEER = fileURLToPath(new URL('torchPeer.py', import.meta.url));
const STEPS = 50;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-imagenet-'));
after(() => rmSync(folder, { recursive: true }));
let file = '';

before(async () => {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  ({ file } = await ensureNamedBackbone('imagenet', 'mobilenetv2', process.env, say));
});

test('every tensor is what PyTorch reads', async () => {
  const tensors = readTorchCheckpoint(readFileSync(file));
  assert.equal(tensors.size, 314);
  assert.deepEqual(described(tensors), await torchPeer<Described>(PEER, 'read', file));
});

test('a network begins with all of it but the classifier, and with its pixels', async () => {
  const values = { 'backbone-weights': 'imagenet', model: 'deeplab_mobile', classes: 'camvid' };
  const { bytes, lines } = await importModel([], values, 'F32');
  const { description, tensors } = readModelFile(bytes);
  assert.deepEqual(description.normalisation, TORCHVISION_NORMALISATION);
  assert.equal(description.spec.backbone, 'mobilenetv2');
  const source = readBackboneFile(readTorchCheckpoint(readFileSync(file)));
  const prefix = 'pretrained.net.';
  const taken = new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
  assert.deepEqual(described(taken), described(source.tensors));
  assert.equal(source.leftOut.length + source.tensors.size, 314);
  assert.ok(lines.includes(`not used: ${source.leftOut.join(', ')}`), lines.join('\n'));
  assert.match(lines.join('\n'), /torchvision's BSD-3-Clause; trained on ImageNet/);
});

const config = join(folder, 'student.yaml');
const scenes = (samples: number, seed: number) =>
  `{kind: synthetic, samples: ${samples}, height: 96, width: 192, seed: ${seed}}`;
writeFileSync(
  config,
  `seed: 0
run: {directory: ${JSON.stringify(folder)}}
data:
  train: ${scenes(40, 1)}
  val: ${scenes(2, 2)}
  crop: {height: 96, width: 128}
  workers: 1
student: {model: deeplab_mobile, backbone: mobilenetv2}
train: {steps: ${STEPS}, batchSize: 4, warmupSteps: 10, threads: 2}
evaluate: {pictures: 0}
metrics: {port: null}
`,
);

/** Mean of the task's loss over the last ten of 50 steps. */
async function lastLoss(id: string, backboneWeights: string): Promise<number> {
  const sets = [`student.backboneWeights=${backboneWeights}`, `run.id=${id}`];
  const run = new CirkdProcess(
    ...['student', '--config', config],
    ...sets.flatMap((one) => ['--set', one]),
  );
  assert.equal(await run.exit(), 0, run.stderr);
  if (backboneWeights === 'imagenet') {
    assert.match(
      run.stderr,
      /student\.backboneWeights: imagenet: not used: features\.18\.0\.weight/,
    );
    assert.doesNotMatch(run.stderr, /trained on pixels/);
  }
  const start = new TrainedRun(folder, id).events().find(({ kind }) => kind === 'start');
  const { sha256 } = BACKBONE_FILES.imagenet[0]!;
  const wanted = backboneWeights === 'imagenet' ? { file: 'imagenet', sha256 } : null;
  assert.deepEqual((start as unknown as { startWeights: unknown }).startWeights, wanted);
  const losses = new TrainedRun(folder, id).steps().map(({ terms }) => terms['task']!);
  assert.equal(losses.length, STEPS);
  const last = losses.slice(-10);
  return last.reduce((sum, loss) => sum + loss, 0) / last.length;
}

test('after 50 steps the loss is lower than from random weights with the same seed', async (t) => {
  const imagenet = await lastLoss('imagenet', 'imagenet');
  const random = await lastLoss('random', 'null');
  t.diagnostic(`mean task loss of steps 41 to 50: imagenet ${imagenet}, random ${random}`);
  assert.ok(imagenet < 0.95 * random, `imagenet ${imagenet}, random ${random}`);
});
