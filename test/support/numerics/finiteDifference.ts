/**
 * Compares a gradient with central differences.
 *
 * The output y is projected on fixed random numbers r; the loss sum(y * r) is added up in float64
 * from float32 outputs. With a step of h = 2^-6, values of the order of 1 and a few hundred outputs
 * that depend on an input, rounding of y costs about 2^-24 * sqrt(300) / 2h = 3e-5 in the quotient,
 * and a curved function's third derivative h^2 / 6 = 4e-5 of itself. A gradient that is wrong in
 * a term is off by the order of its own size. The default tolerance, 2e-3 of the gradient's largest
 * element, lies between.
 */
import assert from 'node:assert/strict';
import { drawsFor } from '../../../src/random/draws.js';
import {
  float32,
  numTensors,
  readFloat32,
  scope,
  Tape,
  type Var,
} from '../../../src/tensor/index.js';

const STEP = 2 ** -6;

export interface Input {
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Whether the function is expected to give a gradient; default true. */
  readonly differentiate?: boolean;
}

export interface DifferenceOptions {
  /** Of the largest element of each gradient. */
  readonly tolerance?: number;
  /** At most so many elements of each input are tried. */
  readonly elements?: number;
}

export type DifferentiableFunction = (tape: Tape, inputs: Var[]) => Var;

/** Normal random values of a shape; `index` tells inputs apart. */
export function randomInput(index: number, shape: readonly number[], scale = 1): Input {
  const values = new Float32Array(sizeOf(shape));
  drawsFor(1, 'test', index).fillNormal(values, 0, scale);
  return { shape, values };
}

/**
 * Values in random order, `gap` apart and `gap` / 2 away from 0, so that a step crosses neither
 * another value (maximum) nor 0 (rectifier).
 */
export function separatedInput(index: number, shape: readonly number[], gap: number): Input {
  const size = sizeOf(shape);
  const order = drawsFor(1, 'test', index).permutation(size);
  const values = Float32Array.from(order, (rank) => (rank - size / 2 + 0.5) * gap);
  return { shape, values };
}

/** Throws an assertion naming input and element; also when tensors are left over. */
export function assertGradients(
  fn: DifferentiableFunction,
  inputs: readonly Input[],
  options: DifferenceOptions = {},
): void {
  const before = numTensors();
  const projection = projectionFor(fn, inputs);
  const gradients = analyticGradients(fn, inputs, projection);
  for (const [at, input] of inputs.entries()) {
    if (input.differentiate === false) continue;
    const gradient = gradients[at];
    assert.ok(gradient, `input ${at}: no gradient`);
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const allowed = (options.tolerance ?? 2e-3) * Math.max(largest, 1e-2);
    for (const element of chosenElements(at, input.values.length, options.elements ?? 40)) {
      const wanted = quotient(fn, inputs, at, element, projection);
      const got = gradient[element]!;
      assert.ok(
        Math.abs(got - wanted) <= allowed,
        `input ${at}, element ${element}: gradient ${got}, difference quotient ${wanted}, allowed ${allowed}`,
      );
    }
  }
  assert.equal(numTensors(), before, 'tensors left over');
}

function analyticGradients(
  fn: DifferentiableFunction,
  inputs: readonly Input[],
  projection: Float32Array,
): (Float32Array | undefined)[] {
  return scope(() => {
    const tape = new Tape(true);
    const leaves = inputs.map((input) => {
      const value = float32(input.values.slice(), input.shape);
      return input.differentiate === false ? tape.constant(value) : tape.leaf(value);
    });
    const output = scope(() => fn(tape, leaves));
    const seed = float32(projection.slice(), output.shape);
    const gradients = tape.backward([[output, seed]]);
    return leaves.map((leaf) => {
      const gradient = gradients.leaves.get(leaf);
      if (gradient === undefined) return undefined;
      assert.deepEqual(gradient.shape, leaf.shape);
      return readFloat32(gradient);
    });
  });
}

function evaluate(fn: DifferentiableFunction, inputs: readonly Input[]): Float32Array {
  return scope(() => {
    const tape = new Tape(false);
    const vars = inputs.map((input) => tape.constant(float32(input.values.slice(), input.shape)));
    return readFloat32(fn(tape, vars).value);
  });
}

function projectionFor(fn: DifferentiableFunction, inputs: readonly Input[]): Float32Array {
  const projection = new Float32Array(evaluate(fn, inputs).length);
  drawsFor(2, 'test').fillNormal(projection, 0, 1);
  return projection;
}

function quotient(
  fn: DifferentiableFunction,
  inputs: readonly Input[],
  at: number,
  element: number,
  projection: Float32Array,
): number {
  const moved = (by: number) => {
    const values = inputs[at]!.values.slice();
    values[element]! += by;
    const changed = inputs.map((input, index) => (index === at ? { ...input, values } : input));
    const output = evaluate(fn, changed);
    return { x: values[element]!, loss: output.reduce((sum, y, i) => sum + y * projection[i]!, 0) };
  };
  const above = moved(STEP);
  const below = moved(-STEP);
  return (above.loss - below.loss) / (above.x - below.x);
}

function chosenElements(index: number, size: number, most: number): Int32Array {
  return drawsFor(3, 'test', index).permutation(size, Math.min(size, most));
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
