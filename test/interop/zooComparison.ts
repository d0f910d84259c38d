/** What was computed here against what zooPeer.py wrote. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TrainedArrays } from './zooSides.js';

/** Of outputs: largest difference by the largest value. */
const OUTPUT_TOLERANCE = 1e-4;
/**
 * Of gradients and running statistics, beside four times PyTorch's own from float64; and of the array in
 * the middle. A value that rounding moves over an activation's edge changes gradients by hundredths on
 * maps as small as these; a wrong term would by their own size.
 */
const [TRAINING_TOLERANCE, MIDDLE_TOLERANCE] = [0.08, 0.03];
/** A mistake is larger than this. Norms over two values, behind global pooling, may be noisier. */
const [VAGUE, MOST_VAGUE] = [0.1, 20];

/** `got` in the order in which the file has them. */
export function checkOutputs(
  got: readonly Float32Array[],
  path: string,
  names: readonly string[] = ['logits', 'feature', 'aux'],
): void {
  for (const [index, wanted] of readArrays(path, got).entries()) {
    const far = distance(got[index]!, wanted);
    assert.ok(far <= OUTPUT_TOLERANCE, `${names[index]}: ${far} apart`);
  }
}

/** Gradients and buffers against those in float32 and float64, of which `path` is the beginning. */
export function checkTraining({ gradients, buffers }: TrainedArrays, path: string): void {
  const all = [...gradients, ...buffers];
  const arrays = all.map(([, values]) => values);
  const [single, double] = ['32', '64'].map((bits) => readArrays(`${path}.train${bits}`, arrays));
  let vague = 0;
  const errors: number[] = [];
  for (const [index, [name, values]] of all.entries()) {
    const far = relativeError(values, double![index]!);
    // What batch statistics make of a float32 network's rounding is seen in PyTorch's own.
    const own = relativeError(single![index]!, double![index]!);
    errors.push(far);
    if (own > VAGUE) vague += 1;
    else assert.ok(far <= TRAINING_TOLERANCE + 4 * own, `${name}: ${far} apart, PyTorch's ${own}`);
  }
  const middle = errors.sort((x, y) => x - y)[errors.length >> 1]!;
  assert.ok(middle <= MIDDLE_TOLERANCE, `half of the arrays are ${middle} apart or more`);
  assert.ok(vague <= MOST_VAGUE, `${vague} arrays are too noisy to be compared`);
}

/** Arrays of these lengths, one after the other. */
function readArrays(path: string, like: readonly Float32Array[]): Float32Array[] {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  const all = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  const size = like.reduce((sum, { length }) => sum + length, 0);
  assert.equal(all.length, size, path);
  let at = 0;
  return like.map(({ length }) => {
    at += length;
    return all.subarray(at - length, at);
  });
}

/** Largest difference by the largest wanted value; NaN is far from everything. */
function distance(got: Float32Array, wanted: Float32Array): number {
  assert.equal(got.length, wanted.length);
  let [difference, scale] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    const here = Math.abs(got[i]! - value);
    difference = Number.isNaN(here) ? Number.POSITIVE_INFINITY : Math.max(difference, here);
    scale = Math.max(scale, Math.abs(value));
  }
  assert.ok(scale > 0, 'nothing but zeros is wanted');
  return difference / scale;
}

/** Euclidean norm of the difference by that of what is wanted. */
function relativeError(got: Float32Array, wanted: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    difference += (got[i]! - value) ** 2;
    size += value ** 2;
  }
  return size === 0 ? Math.sqrt(difference) : Math.sqrt(difference / size);
}
