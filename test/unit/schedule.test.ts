import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32, Parameter, readFloat32, scope, type Tensor } from '../../src/tensor/index.js';
import { learningRateAt } from '../../src/train/schedule.js';
import { Sgd } from '../../src/train/sgd.js';

const poly = { learningRate: 0.02, steps: 10, polyPower: 0.9, warmupSteps: 0 };

test('poly: (1 - step/steps)^0.9, from the full rate to zero', () => {
  assert.equal(learningRateAt(poly, 0), 0.02);
  // 0.5^0.9 = 0.535886731268146
  assert.ok(
    Math.abs(learningRateAt(poly, 5) - 0.02 * 0.5358867312681466) < 1e-15,
    `learning rate ${learningRateAt(poly, 5)}`,
  );
  assert.equal(learningRateAt(poly, 10), 0);
  assert.equal(learningRateAt(poly, 11), 0);
});

test('warm-up rises linearly and ends at the poly value', () => {
  const warm = { ...poly, warmupSteps: 4 };
  assert.equal(learningRateAt(warm, 0), 0.02 / 4);
  assert.equal(learningRateAt(warm, 3), learningRateAt(poly, 3));
  assert.equal(learningRateAt(warm, 7), learningRateAt(poly, 7));
});

test('momentum and weight decay like PyTorch: two steps calculated by hand', () => {
  const weights = new Parameter('w', Float32Array.of(1, -2), [2]);
  const sgd = new Sgd([weights], { momentum: 0.5, weightDecay: 0.25 });
  const update = (gradient: number[], learningRate: number) =>
    scope(() => {
      const given = new Map<Parameter, Tensor>();
      given.set(weights, float32(Float32Array.from(gradient), [2]));
      sgd.apply(given, learningRate);
    });
  // g = [1, 1] + 0.25 w = [1.25, 0.5] = v; w = [1, -2] - 0.5 v
  update([1, 1], 0.5);
  assert.deepEqual([...weights.toFloat32()], [0.375, -2.25]);
  // g = [0, 2] + 0.25 w = [0.09375, 1.4375]; v = 0.5 [1.25, 0.5] + g = [0.71875, 1.6875]
  update([0, 2], 1);
  assert.deepEqual([...weights.toFloat32()], [0.375 - 0.71875, -2.25 - 1.6875]);
  sgd.dispose();
  weights.dispose();
});

test('a parameter without a gradient decays and keeps its momentum', () => {
  const weights = new Parameter('w', Float32Array.of(4), [1]);
  const sgd = new Sgd([weights], { momentum: 0.5, weightDecay: 0.5 });
  scope(() => sgd.apply(new Map(), 0.25));
  assert.deepEqual([...weights.toFloat32()], [4 - 0.25 * 2]);
  sgd.dispose();
  weights.dispose();
});

test('an update in place changes no tensor that was read or assigned, and no other parameter', () => {
  scope(() => {
    const shared = float32(Float32Array.of(1, 2), [2]);
    const [first, second, third] = ['a', 'b', 'c'].map((name) => new Parameter(name, shared, [2]));
    // Now they share memory by another way, too.
    third!.assign(first!.read());
    const sgd = new Sgd([first!], { momentum: 0, weightDecay: 1 });
    const read = first!.read();
    const update = () => scope(() => sgd.apply(new Map(), 0.5));
    update();
    const between = first!.read();
    update();
    assert.deepEqual([...first!.toFloat32()], [0.25, 0.5]);
    assert.deepEqual([...readFloat32(between)], [0.5, 1]);
    for (const each of [shared, read, second!.read(), third!.read()]) {
      assert.deepEqual([...readFloat32(each)], [1, 2]);
    }
    // Values that were assigned are those that the next update starts from.
    scope(() => first!.assign(float32(Float32Array.of(8, 16), [2])));
    update();
    assert.deepEqual([...first!.toFloat32()], [4, 8]);
    for (const each of [sgd, first!, second!, third!]) each.dispose();
  });
});
