/** Batch norm over ranks, and each rank's part of a dropout mask, beside one process with the whole batch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Activation,
  composedKernels,
  differentiable,
  type DropoutUnit,
  float32,
  nativeKernels,
  ops,
  readFloat32,
  scope,
  Tape,
  type Tensor,
} from '../../src/tensor/index.js';
import { inLockstep } from '../support/collectives/lockstep.js';
import { randomInput } from '../support/numerics/finiteDifference.js';

const [N, H, W, C] = [4, 9, 7, 21];

/** A map of all images; its mean is large beside its deviation. */
const map = (seed: number, offset = 0) => {
  const { values } = randomInput(seed, [N, H, W, C]);
  return float32(
    values.map((value) => 3 * value + offset),
    [N, H, W, C],
  );
};
const perChannel = (seed: number) => float32(randomInput(seed, [C]).values, [C]);

interface Settings {
  readonly activation: Activation;
  readonly withShortcut: boolean;
}

/** Normalises the images [first, first + images) and goes back, with `norm` as the kernel. */
function pass(
  { activation, withShortcut }: Settings,
  { first, images }: { first: number; images: number },
  norm: (
    ...call: Parameters<typeof differentiable.batchNormTraining>
  ) => ReturnType<typeof differentiable.batchNormTraining>,
): Float32Array[] {
  const share = (x: Tensor) => ops.rows(x, first, images);
  const tape = new Tape(true);
  const [x, shortcut] = [tape.leaf(share(map(1, 40))), tape.leaf(share(map(2)))];
  const weights = { scale_C: tape.leaf(perChannel(3)), offset_C: tape.leaf(perChannel(4)) };
  const running = { mean_C: perChannel(5), variance_C: ops.square(perChannel(6)) };
  const after = { activation, shortcut: withShortcut ? shortcut : null };
  const { y, running: moved } = norm(tape, x, weights, running, after);
  const values = [y.value, moved.mean_C, moved.variance_C].map(readFloat32);
  const { leaves } = tape.backward([[y, share(map(7))]]);
  const gradients = [x, weights.scale_C, weights.offset_C, ...(withShortcut ? [shortcut] : [])];
  return [...values, ...gradients.map((each) => readFloat32(leaves.get(each)!))];
}

/** Outputs that are per image; the others are statistics (equal on all ranks) or parameters' gradients (summed). */
const PER_IMAGE = [0, 3, 6];
const STATISTICS = [1, 2];

function joined(ranks: readonly Float32Array[][]): Float32Array[] {
  return ranks[0]!.map((one, output) => {
    const parts = ranks.map((rank) => rank[output]!);
    if (PER_IMAGE.includes(output)) return Float32Array.from(parts.flatMap((part) => [...part]));
    if (STATISTICS.includes(output)) {
      for (const part of parts) assert.deepEqual(part, one, `statistics ${output} differ`);
      return one;
    }
    return one.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));
  });
}

for (const [name, kernels] of Object.entries({
  native: nativeKernels,
  composed: composedKernels,
})) {
  test(`${name}: batch norm over 2 and 4 ranks is that of one process, gradients included`, () => {
    for (const activation of ['none', 'relu', 'relu6'] as const) {
      for (const withShortcut of [false, true]) {
        const settings = { activation, withShortcut };
        const whole = scope(() =>
          pass(settings, { first: 0, images: N }, composedKernels.batchNormTraining),
        );
        for (const size of [2, 4]) {
          const images = N / size;
          const ranks = inLockstep(size, 2, (rank, group) =>
            pass(settings, { first: rank * images, images }, (tape, x, weights, running, after) =>
              kernels.sharedBatchNorm(tape, x, weights, running, group, after),
            ),
          );
          joined(ranks).forEach((got, output) => {
            assertClose(got, whole[output]!, `${activation} ${withShortcut} R=${size} ${output}`);
          });
        }
      }
    }
  });
}

test('a rank may have one value per channel', () => {
  const results = inLockstep(2, 1, (rank, group) => {
    const tape = new Tape(false);
    const one = (values: number[]) => tape.constant(float32(Float32Array.from(values), [2]));
    const x = tape.constant(float32(Float32Array.of(rank, 3 * rank), [1, 1, 1, 2]));
    const weights = { scale_C: one([1, 1]), offset_C: one([0, 0]) };
    const running = { mean_C: one([0, 0]).value, variance_C: one([1, 1]).value };
    return readFloat32(differentiable.sharedBatchNorm(tape, x, weights, running, group).y.value);
  });
  for (const [rank, y] of results.entries()) {
    for (const value of y) assert.ok(Math.abs(value - (2 * rank - 1)) < 1e-4, `${y}`);
  }
});

test("a rank's dropout mask is its part of the whole batch's, for every unit", () => {
  // 5 * 3 * 7 elements an image: no multiple of the four numbers that Philox makes at a time.
  const shape = [4, 5, 3, 7];
  const ones = (images: number) => {
    const of = [images, ...shape.slice(1)];
    return float32(new Float32Array(of.reduce((a, b) => a * b)).fill(1), of);
  };
  const masked = (images: number, unit: DropoutUnit, firstImage: number) =>
    scope(() => {
      const tape = new Tape(false);
      const options = { probability: 0.4, unit, firstImage };
      const x = tape.constant(ones(images));
      return [...readFloat32(differentiable.dropout(tape, x, options, [7, -9]).value)];
    });
  for (const unit of ['element', 'channel', 'image'] as const) {
    const whole = masked(4, unit, 0);
    for (const images of [1, 2]) {
      const parts = Array.from({ length: 4 / images }, (_, r) => masked(images, unit, r * images));
      assert.deepEqual(parts.flat(), whole, `${unit}, ${images} images a rank`);
    }
    assert.ok(new Set(whole).size > 1, `${unit}: ${whole.slice(0, 8)}`);
  }
});

function assertClose(got: Float32Array, wanted: Float32Array, what: string): void {
  assert.equal(got.length, wanted.length, what);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  got.forEach((value, i) => {
    const error = Math.abs(value - wanted[i]!) / scale;
    assert.ok(error < 2e-5, `${what} at ${i}: ${value}, wanted ${wanted[i]}`);
  });
}
