/** The golden sets' operations, run as `cirkd conformance` runs them, on a copy of the dev set. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GoldenSet } from '../../src/conformance/goldenSet.js';
import { count, isFailure } from '../../src/conformance/report.js';
import { type KeyResult, runCase } from '../../src/conformance/runner.js';
import { OPERATIONS } from '../../src/conformance/table.js';
import { float32Tensor, formatSafetensors, parseSafetensors } from '../../src/wire/safetensors.js';

const DATA = fileURLToPath(new URL('data', import.meta.url));

/** Operations that this program must have, with their number of cases and keys in the dev set. */
const REQUIRED = [
  ['recipe', 3, 3],
  ['kd', 3, 6],
  ['minibatch_pixel', 7, 13],
  ['memory_contrast', 11, 143],
  ['cirkd_channel', 2, 24],
  ['at', 2, 4],
  ['fitnet', 1, 3],
  ['skd_pairwise', 2, 4],
  ['ifvd', 2, 4],
  ['cwd', 2, 5],
  ['dsd_psd', 2, 5],
  ['dsd_csd', 2, 4],
  ['task_ce', 6, 12],
  ['model_forward', 11, 182],
  ['model_backward', 3, 128],
  ['train_steps', 4, 502],
  ['segmentation_metric', 4, 36],
  ['checkpoint_read', 20, 147],
] as const;

async function runOp(set: GoldenSet, op: string): Promise<KeyResult[]> {
  const results: KeyResult[] = [];
  for (const record of set.cases.filter((entry) => entry.op === op)) {
    results.push(...(await runCase(set, record, OPERATIONS)));
  }
  return results;
}

for (const [op, cases, keys] of REQUIRED) {
  test(`${op}: ${keys} keys of ${cases} cases pass`, async () => {
    const results = await runOp(new GoldenSet(DATA), op);
    const wrong = results.filter(({ verdict }) => verdict !== 'PASS');
    assert.deepEqual(wrong, []);
    assert.equal(new Set(results.map(({ caseName }) => caseName)).size, cases);
    assert.equal(results.length, keys);
  });
}

test('an operation that is not known is skipped, and fails only if it was named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-golden-'));
  try {
    const record = { name: 'x', op: 'telepathy', expected: { loss: 'a.safetensors#x' } };
    writeFileSync(
      join(directory, 'cases.json'),
      JSON.stringify({ format: 1, cases: [record, { name: 'y', op: 'telepathy' }] }),
    );
    const results = await runOp(new GoldenSet(directory), 'telepathy');
    assert.deepEqual(
      results.map(({ verdict, key }) => [verdict, key]),
      [
        ['UNSUPPORTED', 'loss'],
        ['UNSUPPORTED', 'outcome'],
      ],
    );
    assert.deepEqual(count(results), { passed: 0, failed: 0, skipped: 2 });
    assert.equal(isFailure(results, new Set()), false);
    assert.equal(isFailure(results, new Set(['telepathy'])), true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** Runs the dev set's first recipe case after `change` to the stored tensor's values. */
async function withExpectation(
  change: (values: Float32Array) => { values: Float32Array; shape: number[] },
): Promise<KeyResult> {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-golden-'));
  try {
    cpSync(join(DATA, 'cases.json'), join(directory, 'cases.json'));
    const { tensors } = parseSafetensors(readFileSync(join(DATA, 'recipe.safetensors')));
    const stored = tensors.get('recipe_0/out/values')!;
    const { values, shape } = change(new Float32Array(new Uint8Array(stored.data).buffer));
    tensors.set('recipe_0/out/values', float32Tensor(values, shape));
    writeFileSync(join(directory, 'recipe.safetensors'), formatSafetensors(tensors));
    const [result] = await runOp(new GoldenSet(directory), 'recipe');
    return result!;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Runs a checkpoint_read case of its own on files of the dev set. */
async function readCase(params: Record<string, unknown>, expected: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-golden-'));
  try {
    cpSync(join(DATA, 'checkpoints'), join(directory, 'checkpoints'), { recursive: true });
    const tensors = 'checkpoint_read.safetensors';
    cpSync(join(DATA, tensors), join(directory, tensors));
    const record = { name: 'x', op: 'checkpoint_read', params, expected };
    writeFileSync(join(directory, 'cases.json'), JSON.stringify({ format: 1, cases: [record] }));
    const results = await runOp(new GoldenSet(directory), 'checkpoint_read');
    return results.map(({ key, verdict, reason }) => [key, verdict, reason ?? '']);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a checkpoint that has another outcome fails', async () => {
  const file = (name: string) => ({ file: `checkpoints/${name}.pth` });
  const read = await readCase({ ...file('parameters'), outcome: 'error' });
  assert.deepEqual(read, [['outcome', 'FAIL', 'x: was read, wanted an error']]);
  const [refused] = await readCase({ ...file('malicious_eval'), outcome: 'read' });
  assert.deepEqual(refused?.slice(0, 2), ['outcome', 'FAIL']);
  const either = await readCase({ ...file('truncated'), outcome: 'read_or_error' }, { w: 'a#b' });
  assert.deepEqual(either, [['w', 'PASS', '']]);
  const [unknown] = await readCase({ ...file('legacy'), outcome: 'maybe' });
  assert.equal(unknown?.[2], "x: outcome 'maybe' is not known");
  const [outside] = await readCase({ file: '../x.pth', outcome: 'error' });
  assert.match(outside![2]!, /wanted one inside the set/);
});

test('tensors of a checkpoint count with name, dtype and bits', async () => {
  const stored = (name: string) => `checkpoint_read.safetensors#${name}`;
  const params = { file: 'checkpoints/parameters.pth', outcome: 'read' };
  const [weight] = await readCase(params, { weight: stored('ckpt_parameters/out/weight') });
  assert.match(weight![2]!, /^x: tensors that aren't expected: frozen, grad_tensor$/);
  const swapped = {
    weight: stored('ckpt_dtypes/out/f32'),
    frozen: stored('ckpt_parameters/out/grad_tensor'),
    grad_tensor: stored('ckpt_parameters/out/grad_tensor'),
  };
  const results = await readCase(params, swapped);
  assert.deepEqual(
    results.map(([, verdict]) => verdict),
    ['FAIL', 'FAIL', 'PASS'],
  );
  assert.match(results[0]![2]!, /^F32 \[2,3\], wanted F32 \[4\]$/);
  assert.match(results[1]![2]!, /^byte \d+ is \d+, wanted \d+$/);
});

test('an expectation that is off by one rounding fails', async () => {
  const right = await withExpectation((values) => ({ values, shape: [8] }));
  assert.equal(right.verdict, 'PASS');
  const wrong = await withExpectation((values) => {
    values[3]! *= 1 + 2 ** -23;
    return { values, shape: [8] };
  });
  assert.equal(wrong.verdict, 'FAIL');
  assert.match(wrong.reason ?? '', /^element 3 is /);
  assert.equal(isFailure([wrong], new Set()), true);
});

test('a NaN that should be there and another shape fail', async () => {
  const missingNan = await withExpectation((values) => {
    values[0] = Number.NaN;
    return { values, shape: [8] };
  });
  assert.equal(missingNan.verdict, 'FAIL');
  const shape = await withExpectation((values) => ({ values, shape: [2, 4] }));
  assert.equal(shape.verdict, 'FAIL');
  assert.match(shape.reason ?? '', /shape \[8\] .*wanted \[2,4\]/);
});
