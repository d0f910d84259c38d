/** Which buckets are sent when, on a group that is played to the exchange, and a tape that gives gradients to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StartedReduce } from '../../src/collectives/collective.js';
import {
  differentiable,
  float32,
  numTensors,
  ops,
  Parameter,
  readFloat32,
  scalar,
  scope,
  Tape,
  type Tensor,
} from '../../src/tensor/index.js';
import { GradientExchange } from '../../src/train/gradientExchange.js';
import { GradientSums } from '../../src/train/gradientSums.js';

/** The other rank's gradients are all 10. */
class PlayedGroup {
  /** The values of each bucket that was sent, in order. */
  readonly sent: number[][] = [];
  ended = 0;
  abandoned = 0;

  startAllReduce(bucket: readonly Tensor[]): StartedReduce {
    const own = bucket.map((tensor) => readFloat32(tensor));
    this.sent.push(own.flatMap((values) => [...values]));
    return {
      end: () => {
        this.ended += 1;
        return own.map((values) =>
          float32(
            Float32Array.from(values, (x) => (x + 10) / 2),
            [values.length],
          ),
        );
      },
      abandon: () => {
        this.abandoned += 1;
      },
    };
  }
}

const TWO_PER_BUCKET = 16;

/** Five parameters of two numbers: buckets (0 1) (2 3) (4). */
function parameters(): Parameter[] {
  return Array.from({ length: 5 }, (_, i) => new Parameter(`p${i}`, Float32Array.of(i, i), [2]));
}

const gradient = (value: number) => float32(Float32Array.of(value, value), [2]);

test('a bucket is sent when it is full and all behind it are sent; a missing gradient is zero', () => {
  const all = parameters();
  const tensors = numTensors();
  scope(() => {
    const group = new PlayedGroup();
    const exchange = new GradientExchange(group, all, TWO_PER_BUCKET);
    const give = (i: number, value: number | null) =>
      scope(() => exchange.give(all[i]!, value === null ? null : gradient(value)));
    give(3, 3);
    give(2, 2);
    assert.deepEqual(group.sent, [], 'bucket 2 comes first');
    give(4, 4);
    assert.deepEqual(group.sent, [
      [4, 4],
      [2, 2, 3, 3],
    ]);
    give(0, null);
    assert.throws(() => give(0, 1), /p0: given twice/);
    const means = exchange.means();
    assert.deepEqual(group.sent.slice(2), [[0, 0, 0, 0]]);
    assert.deepEqual([...means.keys()], all);
    assert.deepEqual(
      [...means.values()].map((mean) => readFloat32(mean)[1]),
      [5, 5, 6, 6.5, 7],
    );
    exchange.abandon();
    assert.deepEqual([group.ended, group.abandoned], [3, 0]);
  });
  assert.equal(numTensors(), tensors, 'nothing is kept');
  for (const each of all) each.dispose();
});

test('a step that is given up: what was sent is abandoned, what was not is freed', () => {
  const all = parameters();
  const tensors = numTensors();
  const group = new PlayedGroup();
  const exchange = new GradientExchange(group, all, TWO_PER_BUCKET);
  for (const i of [4, 3, 1]) scope(() => exchange.give(all[i]!, gradient(i)));
  exchange.abandon();
  exchange.abandon();
  assert.deepEqual([group.sent.length, group.abandoned], [1, 1]);
  assert.equal(numTensors(), tensors);
  for (const each of all) each.dispose();
});

test('the tape gives each gradient once it is final, with the values of a backward pass without that', () => {
  const [a, b, c, unused] = parameters() as [Parameter, Parameter, Parameter, Parameter];
  const before = numTensors();
  /** c * (a * b) + a: b's is final before a's, which the first node of all uses, too. */
  const run = (onFinal?: (parameter: Parameter, gradient: Tensor | null) => void) =>
    scope(() => {
      const tape = new Tape(true);
      const multiply = (x: Parameter | ReturnType<Tape['leaf']>, y: Parameter) => {
        const [left, right] = [x instanceof Parameter ? tape.parameter(x) : x, tape.parameter(y)];
        return tape.record(
          ops.mul(left.value, right.value),
          [left, right],
          [left.value, right.value],
          (dy) => [ops.mul(dy, right.value), ops.mul(dy, left.value)],
        );
      };
      tape.parameter(unused);
      const product = multiply(multiply(a, a), b);
      const y = differentiable.add(tape, multiply(product, c), tape.parameter(a));
      const { parameters: rest } = tape.backward([[y, gradient(1)]], onFinal);
      return new Map([...rest].map(([{ name }, tensor]) => [name, [...readFloat32(tensor)]]));
    });
  const wanted = run();
  assert.deepEqual([...wanted.keys()].sort(), ['p0', 'p1', 'p2']);
  const got: [string, number[] | null][] = [];
  const rest = run((parameter, tensor) => {
    got.push([parameter.name, tensor === null ? null : [...readFloat32(tensor)]]);
  });
  assert.equal(rest.size, 0);
  assert.deepEqual(
    got.map(([name]) => name),
    ['p3', 'p2', 'p1', 'p0'],
  );
  assert.equal(got[0]![1], null);
  for (const [name, values] of got.slice(1)) assert.deepEqual(values, wanted.get(name), name);
  assert.throws(
    () =>
      run(({ name }) => {
        if (name === 'p1') throw new Error('lost');
      }),
    /lost/,
  );
  assert.equal(numTensors(), before, 'nothing is kept, also after an error');
});

test('micro-batches: the last one added at once gives the bits of all added at the end', () => {
  const [p] = parameters() as [Parameter];
  const values = [0.1, 0.7, 1 / 3];
  scope(() => {
    const [apart, atOnce] = [new GradientSums(3), new GradientSums(3)];
    for (const value of values) apart.add(new Map([[p, gradient(value)]]));
    for (const value of values.slice(0, 2)) atOnce.add(new Map([[p, gradient(value)]]));
    const mean = atOnce.meanWith(p, gradient(values[2]!))!;
    assert.deepEqual(readFloat32(mean), readFloat32(apart.means().get(p)!));
    assert.equal(atOnce.means().size, 0);
    // Without a gradient in the last one, and without any.
    atOnce.add(new Map([[p, gradient(3)]]));
    assert.deepEqual(
      readFloat32(ops.sub(atOnce.meanWith(p, null)!, scalar(1))),
      Float32Array.of(0, 0),
    );
    assert.equal(atOnce.meanWith(p, null), null);
  });
});
