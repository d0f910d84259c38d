/** The compared methods' and the channel terms, with their official weights, through a real teacher process. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { parseSafetensors } from '../../src/wire/safetensors.js';
import { TaughtRuns } from '../support/training/taughtRuns.js';

const STEPS = 20;
const BANK_ROWS = 48;
const WEIGHTS = {
  ...{ minibatch_pixel: 0, memory_pixel: 0, memory_region: 0 },
  ...{ minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 },
  ...{ attention_transfer: 10_000, fitnet: 10, skd_pairwise: 10, ifvd: 20 },
  ...{ cwd_feature: 50, cwd_logits: 3, dsd_psd: 1000, dsd_csd: 10 },
};
const COMPARED = Object.entries(WEIGHTS).flatMap(([term, weight]) => (weight > 0 ? [term] : []));
const SETTINGS = [
  // Another width than the teacher's, so that CWD has its convolution.
  ...[`memory.channelMemorySize=${BANK_ROWS}`, 'memory.channelContrastSize=32'],
  ...['student.widthMultiplier=0.25', 'train.learningRate=0.001'],
  ...Object.entries(WEIGHTS).map(([term, weight]) => `loss.weights.${term}=${weight}`),
];

let runs: TaughtRuns;

before(async () => {
  runs = await TaughtRuns.open(STEPS, SETTINGS);
});
afterEach(() => runs?.killStudents());
after(() => runs?.close());

for (const encoding of ['int8', 'fp16', 'fp32'] as const) {
  test(`${STEPS} steps with every term, ${encoding}: each is finite, reported, and taught`, async () => {
    await runs.train(encoding, [`teacher.encoding=${encoding}`]);
    const steps = runs.terms(encoding);
    assert.equal(steps.length, STEPS);
    for (const step of steps) {
      assert.deepEqual(Object.keys(step), ['task', 'logits_kd', ...COMPARED, 'total']);
      for (const [term, value] of Object.entries(step)) {
        assert.ok(Number.isFinite(value) && value > 0, `${term}: ${value}`);
      }
    }
    const mean = (part: typeof steps) => part.reduce((sum, { total }) => sum + total!, 0) / 5;
    const [first, last] = [mean(steps.slice(0, 5)), mean(steps.slice(-5))];
    assert.ok(last < first, `total: ${first} at first, ${last} at last`);
    const fill = runs.finalTensors(encoding, 'banks').get('channel_fill')!;
    assert.equal(Buffer.from(fill.data).readInt32LE(), BANK_ROWS);
    const report = runs.report(encoding);
    for (const term of COMPARED) assert.ok(report.includes(term), `report: no ${term}`);
    assert.deepEqual(
      [...runs.finalState(encoding).keys()],
      ['banks', 'channel_projection_head', 'optimizer', 'student', 'term_convolutions'].map(
        (file) => `${file}.safetensors`,
      ),
    );
  });
}

test('kill -9 and --resume with trained convolutions, channel head and bank: the same bytes', async () => {
  await runs.assertResumed('killed', 'fp16', ['teacher.encoding=fp16']);
  const names = [...runs.finalTensors('killed', 'term_convolutions').keys()];
  assert.deepEqual(
    names.sort(),
    ['cwd_feature', 'fitnet'].map((term) => `term_convolutions.${term}.weight`),
  );
});

test('graph convolution before the terms: trained, saved, and the same bytes after kill -9 and --resume', async () => {
  const settings = ['teacher.encoding=fp16', 'loss.graphConvolution=true'];
  await runs.train('graph', settings);
  const name = 'graph_convolution.safetensors';
  const state = runs.finalState('graph');
  assert.ok(state.has(name), [...state.keys()].join());
  assert.notDeepEqual(runs.terms('graph')[0], runs.terms('fp16')[0]);
  await runs.assertResumed('graph-killed', 'graph', settings);
  const weights = (step: number) => {
    return parseSafetensors(readFileSync(runs.run('graph').checkpointFile(step, name))).tensors;
  };
  const [before, after] = [weights(STEPS - 2), weights(STEPS)];
  for (const [tensor, { data }] of after) {
    // Every weight and statistic moved.
    assert.notDeepEqual(Buffer.from(before.get(tensor)!.data), Buffer.from(data), tensor);
  }
  assert.ok(after.size > 10, `${after.size} tensors`);
});
