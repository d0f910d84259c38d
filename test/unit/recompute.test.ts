/** Maps that are computed again in the backward pass: the same bits, and fewer tensors until then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  composedKernels,
  differentiable,
  float32,
  type Kernels,
  nativeKernels,
  numTensors,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import { concat } from '../../src/tensor/ops/shape.js';
import { randomInput } from '../support/numerics/finiteDifference.js';

const SHAPE = [2, 9, 12, 21];
const CHANNELS = SHAPE.slice(3);

/** Both ranks of it have the same map. */
const RANKS = { size: 2, allGather: (x: Tensor) => concat([x, x], 0) };

type Norm = 'own' | 'shared';

/** Norms with and without shortcut and activation, one output of which several layers use; pooling, joining, dropout. */
function forward(kernels: Kernels, norm: Norm, tape: Tape, [x, w, scale_C, offset_C]: Var[]): Var {
  const running = () => ({ mean_C: vector(0), variance_C: vector(1) });
  const weights = { scale_C: scale_C!, offset_C: offset_C! };
  const normalised = (of: Var, activation: 'none' | 'relu' | 'relu6', shortcut: Var | null) =>
    norm === 'own'
      ? kernels.batchNormTraining(tape, of, weights, running(), { activation, shortcut }).y
      : kernels.sharedBatchNorm(tape, of, weights, running(), RANKS, { activation, shortcut }).y;
  const convolved = (of: Var) =>
    scope(() => kernels.conv2d(tape, of, w!, { stride: 1, dilation: 1, padding: 0 }));
  return scope(() => {
    const first = normalised(convolved(x!), 'relu', null);
    const second = normalised(convolved(first), 'none', first);
    const third = normalised(convolved(second), 'relu6', second);
    const pooled = kernels.maxPool(tape, third, { window: 3, stride: 2, padding: 1 });
    const shrunk = kernels.maxPool(tape, differentiable.add(tape, third, first), {
      ...{ window: 2, stride: 2, padding: 1 },
    });
    const joined = differentiable.concat(tape, [pooled, shrunk], 2);
    const kept = differentiable.dropout(
      tape,
      joined,
      { probability: 0.3, unit: 'element' },
      [1, 2],
    );
    return convolved(kept);
  });
}

const vector = (value: number) => float32(new Float32Array(21).fill(value), CHANNELS);

interface Passed {
  /** Output, then gradients. */
  readonly bits: Buffer[];
  /** Between the passes. */
  readonly tensors: number;
}

function passed(kernels: Kernels, norm: Norm, recompute: boolean): Passed {
  return scope(() => {
    const tape = new Tape(true, { recompute });
    const leaves = [SHAPE, [1, 1, 21, 21], CHANNELS, CHANNELS].map((shape, index) =>
      tape.leaf(float32(randomInput(index, shape).values, shape)),
    );
    const y = forward(kernels, norm, tape, leaves);
    const tensors = numTensors();
    const value = readFloat32(y.value);
    const seed = float32(randomInput(9, y.shape).values, y.shape);
    const gradients = tape.backward([[y, seed]]).leaves;
    const all = [value, ...leaves.map((leaf) => readFloat32(gradients.get(leaf)!))];
    return { bits: all.map(({ buffer }) => Buffer.from(buffer)), tensors };
  });
}

for (const [name, kernels] of Object.entries({
  native: nativeKernels,
  composed: composedKernels,
})) {
  for (const norm of ['own', 'shared'] as const) {
    test(`${name} kernels, ${norm} statistics: the bits of a pass that keeps everything`, () => {
      const before = numTensors();
      const [kept, again] = [passed(kernels, norm, false), passed(kernels, norm, true)];
      assert.deepEqual(again.bits, kept.bits);
      assert.ok(again.tensors < kept.tensors, `${again.tensors} tensors, ${kept.tensors} kept`);
      assert.equal(numTensors(), before, 'tensors leak');
    });
  }
}

test('a value is computed once however many layers use it, and not at all where it is alive', () => {
  for (const [held, wanted] of [
    [false, 1],
    [true, 0],
  ] as const) {
    scope(() => {
      const tape = new Tape(true, { recompute: true });
      const x = tape.leaf(float32(Float32Array.of(1, 2), [2]));
      let computed = 0;
      const compute = () => {
        computed += 1;
        return float32(Float32Array.of(3, 4), [2]);
      };
      const twice = (of: Var) =>
        scope(() => {
          const used = (): Var =>
            tape.record(float32(Float32Array.of(0, 0), [2]), [of], [of], (dy) => {
              assert.deepEqual([...readFloat32(of.value)], [3, 4]);
              return [dy];
            });
          return [used(), used()];
        });
      const middle = scope(() =>
        tape.record(compute(), [x], [], (dy) => [dy], { saved: [x], compute }),
      );
      computed = 0;
      const outputs = twice(middle);
      if (!held) middle.value.dispose();
      const { leaves } = tape.backward(
        outputs.map((output) => [output, float32(Float32Array.of(1, 1), [2])] as const),
      );
      assert.deepEqual([...readFloat32(leaves.get(x)!)], [2, 2]);
      assert.equal(computed, wanted);
    });
  }
});

test('a backward pass that throws frees what was computed again', () => {
  const before = numTensors();
  scope(() => {
    const tape = new Tape(true, { recompute: true });
    const x = tape.leaf(float32(Float32Array.of(1, -2), [2]));
    const y = scope(() => {
      const positive = differentiable.relu(tape, x);
      const fails = () => {
        throw new Error('broken');
      };
      return tape.record(float32(Float32Array.of(0, 0), [2]), [positive], [positive], fails);
    });
    const seed = float32(Float32Array.of(1, 1), [2]);
    assert.throws(() => tape.backward([[y, seed]]), /broken/);
  });
  assert.equal(numTensors(), before);
});
