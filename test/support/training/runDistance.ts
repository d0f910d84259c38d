/** How far apart two runs of the same number of steps are. */
import assert from 'node:assert/strict';
import type { TrainedRun } from './trainedRun.js';

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
export function lossDistance(a: TrainedRun, b: TrainedRun): number {
  const [ours, theirs] = [a.steps(), b.steps()];
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
