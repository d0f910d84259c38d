/** How far apart two runs of the same number of steps are. */
import assert from 'node:assert/strict';
import type { StepEvent, TrainedRun } from './trainedRun.js';

/** |a - b| / |b| (2-norms) over all numbers of the float32 tensors, after `steps`, whose names match. */
export function stateDistance(a: TrainedRun, b: TrainedRun, steps: number, names: RegExp): number {
  const [ours, theirs] = [a.state(steps), b.state(steps)];
  const numbers = (text: string) =>
    new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
  let [difference, size] = [0, 0];
  for (const [name, text] of theirs) {
    if (!names.test(name)) continue;
    const other = numbers(ours.get(name)!);
    numbers(text).forEach((value, i) => {
      difference += (value - other[i]!) ** 2;
      size += value ** 2;
    });
  }
  assert.ok(size > 0, `no tensor matches ${names}`);
  return Math.sqrt(difference / size);
}

/** The largest |a - b| / |b| of a term in a step; both have trained on the same crops. */
export function lossDistance(ours: readonly StepEvent[], theirs: readonly StepEvent[]): number {
  assert.ok(theirs.length > 0 && ours.length === theirs.length, `${ours.length} steps`);
  const distances = ours.flatMap(({ terms, samples }, i) => {
    assert.deepEqual(samples, theirs[i]!.samples);
    assert.deepEqual(Object.keys(terms), Object.keys(theirs[i]!.terms));
    // dsd_csd is 1e-12 here.
    return Object.entries(theirs[i]!.terms)
      .filter(([, value]) => Math.abs(value) > 1e-6)
      .map(([term, value]) => Math.abs(terms[term]! / value - 1));
  });
  assert.ok(distances.length > theirs.length, `${distances.length} terms`);
  return Math.max(...distances);
}

/** Bit for bit: queue, pointer and fill of three banks. */
export function assertSameBanks(a: TrainedRun, b: TrainedRun, steps: number): void {
  const banks = (run: TrainedRun) => [...run.state(steps)].filter(([name]) => /^banks/.test(name));
  assert.equal(banks(b).length, 9, 'queue, pointer and fill of three banks');
  assert.deepEqual(banks(a), banks(b));
}

/** A state by the names of TrainedRun.state(). */
export type State = ReadonlyMap<string, string>;

export interface TensorDistance {
  readonly name: string;
  readonly distance: number;
}

/** Of the root mean square of all that are compared: a tensor that moves less is rounding alone. */
const LEAST_SHARE = 1e-3;

/**
 * For each float32 tensor whose name matches |a - b| / |b - from| (2-norms), the largest first: how far two updates of
 * `from` are apart, in terms of the update itself.
 *
 * @param from null: zero
 */
export function updateDistances(
  a: State,
  b: State,
  from: State | null,
  names: RegExp,
): TensorDistance[] {
  const compared = [...b.keys()].filter((name) => names.test(name));
  assert.ok(compared.length > 0, `no tensor matches ${names}`);
  const each = compared.map((name) => {
    const [ours, theirs] = [floatsOf(a, name), floatsOf(b, name)];
    const before = from === null ? new Float32Array(theirs.length) : floatsOf(from, name);
    return { name, count: theirs.length, off: norm(ours, theirs), moved: norm(theirs, before) };
  });
  const sum = (of: (one: (typeof each)[number]) => number) =>
    each.reduce((total, one) => total + of(one), 0);
  const rms = Math.sqrt(sum(({ moved }) => moved ** 2) / sum(({ count }) => count));
  assert.ok(rms > 0, `${names}: nothing has moved`);
  return each
    .map(({ name, count, off, moved }) => {
      const distance = off / Math.max(moved, LEAST_SHARE * rms * Math.sqrt(count));
      return { name, distance: Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance };
    })
    .sort((x, y) => y.distance - x.distance);
}

function floatsOf(state: State, name: string): Float32Array {
  const text = state.get(name);
  assert.ok(text !== undefined, `${name} is missing`);
  return new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}

function norm(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
}
