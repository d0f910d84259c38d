/** The compared methods' losses at a large map: no matrix of all pairs of positions, and no leak. */
// @own-process: measures the process' memory
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peakKiB, startPeak } from '../../services/cli/bench/peakMemory.js';
import { skdDiscriminator, skdHolistic } from '../../src/losses/adversarial/skdHolistic.js';
import { tileRowCount } from '../../src/losses/tiling.js';
import {
  differentiable,
  fill,
  float32,
  numTensors,
  readFloat32,
  scope,
  Tape,
} from '../../src/tensor/index.js';
import { COMPARED, comparedLoss, lossInputs, uniform } from '../support/numerics/comparedLosses.js';
import { CLASSES, discriminator, startValues } from '../support/numerics/smallDiscriminator.js';

const TILING = { lossMemoryMiB: 8 };
/** 18432 positions: one matrix of all pairs is 1.3 GiB; after 2x2 pooling 81 MiB. */
const LARGE = { images: 1, height: 96, width: 192, studentChannels: 8, teacherChannels: 12 };
/** Of such a map 0.6 and 0.8 MiB; each loss makes some dozens of that size at most. */
const ALLOWED_MIB = 56;

/** MiB above what is resident now, at most. */
function peakMiB(work: () => void): number {
  globalThis.gc?.();
  startPeak();
  const before = process.memoryUsage.rss() / 2 ** 20;
  work();
  return peakKiB() / 1024 - before;
}

const small = lossInputs({ ...LARGE, height: 4, width: 8 });
const large = lossInputs(LARGE);

for (const name of Object.keys(COMPARED)) {
  test(`${name}: memory linear in H W`, () => {
    // A channel map of 18432 positions would need a teacher of 16 times the size.
    const inputs = name === 'channel' ? lossInputs({ ...LARGE, height: 24, width: 48 }) : large;
    comparedLoss(name, small, TILING);
    const used = peakMiB(() => comparedLoss(name, inputs, TILING));
    assert.ok(used < ALLOWED_MIB, `${used} MiB`);
  });
}

test('skd_holistic and its discriminator with a penalty: memory linear in H W', () => {
  // 8 x 512 positions in the first attention: its whole matrix is 64 MiB.
  const run = (width: number) =>
    scope(() => {
      const shape = [1, 64, width, CLASSES];
      const values = (stream: number) => float32(uniform(64 * width * CLASSES, stream), shape);
      const of = discriminator(startValues);
      const own = skdHolistic(values(1), of, TILING);
      const objective = { kind: 'wgan-gp', penalty: 10, shares_N: Float32Array.of(0.5) } as const;
      return own.loss + skdDiscriminator(values(1), values(2), of, TILING, objective).loss;
    });
  // So large that what the threads' allocators keep is there before: 18 to 62 MiB otherwise, by chance.
  run(1024);
  const used = peakMiB(() => {
    assert.ok(Number.isFinite(run(4096)));
  });
  assert.ok(used < ALLOWED_MIB, `${used} MiB`);
});

test('attention: memory linear in the positions, forwards and back', () => {
  const positions = 8192;
  const options = {
    factor: 1,
    tileElements: tileRowCount(positions, positions, TILING) * positions,
  };
  const run = () =>
    scope(() => {
      const tape = new Tape(true);
      const shape = [1, positions, 4];
      const [query, key, value] = [0.1, 0.2, 0.3].map((x) => tape.leaf(fill(shape, x)));
      const out = differentiable.attention(tape, query!, key!, value!, options);
      const { leaves } = tape.backward([[out, fill(shape, 1)]]);
      return readFloat32(leaves.get(value!)!)[0]!;
    });
  let gradient = 0;
  // The whole matrix: 256 MiB.
  const used = peakMiB(() => {
    gradient = run();
  });
  assert.ok(Math.abs(gradient - 1) < 1e-3, `${gradient}`);
  assert.ok(used < ALLOWED_MIB, `${used} MiB`);
});

test('nothing is left behind over 300 steps', () => {
  const middle = lossInputs({ ...LARGE, height: 16, width: 16 });
  const names = Object.keys(COMPARED);
  const steps = (count: number) => {
    for (let i = 0; i < count; i++) comparedLoss(names[i % names.length]!, middle, TILING);
  };
  steps(60);
  const [tensors, bytes] = [numTensors(), process.memoryUsage.rss()];
  steps(300);
  assert.equal(numTensors(), tensors);
  const grown = (process.memoryUsage.rss() - bytes) / 2 ** 20;
  assert.ok(grown < 48, `${grown} MiB more`);
});
