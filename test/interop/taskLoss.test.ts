/** The task loss with class weights and OHEM, beside PyTorch's cross entropy by autograd, in double precision. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { taskCe } from '../../src/losses/taskCe.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, readFloat32, scope } from '../../src/tensor/index.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('taskLossPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-task-loss-'));
after(() => rmSync(folder, { recursive: true }));

const SHAPE = [2, 5, 7, 6] as const;
const LABEL_SHAPE = [2, 33, 50] as const;

function uniform(length: number, stream: number, reach: number): Float32Array {
  const values = new Float32Array(length);
  drawsFor(17, 'test', stream).fillUniform(values, -reach, reach);
  return values;
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const LOGITS = uniform(product(SHAPE), 1, 3);
/** A tenth of the pixels is ignored. */
const LABELS = Uint8Array.from(uniform(product(LABEL_SHAPE), 2, 1), (u) => {
  const label = Math.floor(((u + 1) / 2) * 6.6);
  return label < 6 ? label : 255;
});

const WEIGHTS = [0.25, 1, 0, 3, 0.5, 10];
const CASES = [true, false].flatMap((alignCorners) =>
  [
    { classWeights: null, ohem: null },
    { classWeights: WEIGHTS, ohem: null },
    { classWeights: null, ohem: { threshold: 0.1, minKept: 10 } },
    { classWeights: null, ohem: { threshold: 0.001, minKept: 700 } },
    { classWeights: null, ohem: { threshold: 0.3, minKept: 100_000 } },
    { classWeights: WEIGHTS, ohem: { threshold: 0.2, minKept: 500 } },
  ].map((options) => ({ alignCorners, ...options })),
);

let wanted: { loss: number; gradient: number[] }[] = [];
before(async () => {
  const file = join(folder, 'cases.json');
  const inputs = {
    logits: [...LOGITS],
    shape: SHAPE,
    labels: [...LABELS],
    labelShape: LABEL_SHAPE,
  };
  writeFileSync(file, JSON.stringify(CASES.map((options) => ({ ...inputs, ...options }))));
  const results = join(folder, 'results.json');
  await torchPeer(PEER, file, results);
  wanted = JSON.parse(readFileSync(results, 'utf8'));
});

for (const [k, options] of CASES.entries()) {
  test(`loss and gradient are PyTorch's: ${JSON.stringify(options)}`, () => {
    const { loss, gradient } = scope(() => {
      const [images, height, width] = LABEL_SHAPE;
      const result = taskCe(
        float32(LOGITS.slice(), [...SHAPE]),
        { data: LABELS, images, height, width },
        { ignoreLabel: 255, ...options },
      );
      return { loss: result.loss, gradient: readFloat32(result.gradient_NhwK) };
    });
    const torch = wanted[k]!;
    assert.ok(Math.abs(loss / torch.loss - 1) < 1e-6, `loss ${loss}, PyTorch's ${torch.loss}`);
    const largest = Math.max(...torch.gradient.map(Math.abs));
    assert.ok(largest > 0);
    for (const [i, value] of gradient.entries()) {
      const off = Math.abs(value - torch.gradient[i]!);
      assert.ok(off <= 5e-6 * largest, `[${i}]: ${value}, PyTorch's ${torch.gradient[i]}`);
    }
  });
}
