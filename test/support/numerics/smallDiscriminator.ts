/** A small discriminator with fixed numbers, and a check of its gradients by differences. */
import assert from 'node:assert/strict';
import {
  type Discriminator,
  type DiscriminatorParameter,
  type DiscriminatorTensors,
  discriminatorShapes,
} from '../../../src/losses/adversarial/discriminatorParameters.js';
import { spectralNorm } from '../../../src/losses/adversarial/spectralNorm.js';
import {
  fill,
  float32,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  zeros,
} from '../../../src/tensor/index.js';
import { uniform } from './comparedLosses.js';

export const TILING = { lossMemoryMiB: 64 };

/** u after so many steps of power iteration that it is the first singular vector. */
export function converged(weights: Float32Array, shape: readonly number[]): Float32Array {
  return scope(() => {
    let u_K: Tensor = fill([shape.at(-1)!], 1);
    for (let i = 0; i < 200; i++) {
      u_K = scope(() => {
        const tape = new Tape(false);
        return spectralNorm(tape, tape.constant(float32(weights.slice(), shape)), u_K).u_K;
      });
    }
    return readFloat32(u_K);
  });
}

export const CLASSES = 2;
export const WIDTH = 8;
export const SIZE = [2, 64, 64, CLASSES] as const;
const shapes = discriminatorShapes(CLASSES, WIDTH);
export const names = Object.keys(shapes) as DiscriminatorParameter[];
const length = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

export const startValues = new Map(
  names.map((name, stream) => {
    const fanIn = Math.max(1, length(shapes[name].slice(0, -1)));
    const reach = name.endsWith('weight') ? 2 * Math.sqrt(3 / fanIn) : 0.5;
    return [name, uniform(length(shapes[name]), 20 + stream).map((value) => reach * value)];
  }),
);
const us = ['l1.0', 'l2.0', 'l3.0', 'l4.0'].map((layer) => {
  const name = `${layer}.weight` as DiscriminatorParameter;
  return converged(startValues.get(name)!, shapes[name]);
});

export function discriminator(
  values: ReadonlyMap<DiscriminatorParameter, Float32Array>,
): Discriminator {
  const tensors = names.map((name) => [name, float32(values.get(name)!.slice(), shapes[name])]);
  return {
    parameters: Object.fromEntries(tensors) as DiscriminatorTensors,
    state: {
      runningMean_K: zeros([CLASSES]),
      runningVariance_K: fill([CLASSES], 1),
      us: us.map((u) => float32(u.slice(), [u.length])),
    },
  };
}

export const student = uniform(length(SIZE), 10).map((value) => 3 * value);
export const teacher = uniform(length(SIZE), 11).map((value) => 3 * value);
export const logits = (values: Float32Array) => float32(values.slice(), SIZE);

/** Difference quotients at some elements; piecewise linear layers leave a few parts in a thousand. */
export function assertSome(
  gradient: Float32Array,
  x: Float32Array,
  step: number,
  lossAt: (x: Float32Array) => number,
): void {
  const order = gradient
    .map((_, i) => i)
    .sort((a, b) => Math.abs(gradient[b]!) - Math.abs(gradient[a]!));
  for (const i of [0, 1, 2, 3].map((rank) => order[rank]!).filter((i) => i !== undefined)) {
    const at = (by: number) => lossAt(x.map((value, j) => (j === i ? value + by : value)));
    const wanted = (at(step) - at(-step)) / (2 * step);
    const off = Math.abs(gradient[i]! - wanted) / Math.abs(wanted);
    assert.ok(off < 0.02, `element ${i}: gradient ${gradient[i]}, difference ${wanted}`);
  }
}
