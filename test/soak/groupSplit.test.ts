/** A student on 1, 2 and 4 processes is one run, up to the order of sums (docs/distributed.md). */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { GroupRuns } from '../support/training/groupRuns.js';
import { assertSameBanks, lossDistance, stateDistance } from '../support/training/runDistance.js';

const STEPS = 30;
const FEW_STEPS = 6;
const ALL_TERMS_GLOBAL = [
  ...['distributed.labelledMean=batch', 'distributed.minibatch=batch'],
  ...[
    ...['minibatch_channel', 'memory_channel', 'channel_mse', 'attention_transfer', 'fitnet'],
    ...['skd_pairwise', 'ifvd', 'cwd_feature', 'cwd_logits', 'dsd_psd', 'dsd_csd'],
  ].map((term) => `loss.weights.${term}=0.1`),
];

/**
 * Bounds of docs/distributed.md. Another vector level in one process gives the same distances: what is left is the
 * order of sums. At this rate the weights hardly move; test/system/groupRuns.test.ts compares their updates.
 */
const LOSS_BOUND = 2e-3;
const HEAD_GRADIENT_BOUND = 2e-2;
const GRADIENT_BOUND = 0.2;

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(2);
});
afterEach(() => runs?.killAll());
after(() => runs?.close());

test(`every term on 1, 2 and 4 ranks with global switches: one run of ${STEPS} steps`, async (t) => {
  const settings = [...ALL_TERMS_GLOBAL, `train.steps=${STEPS}`];
  const one = await runs.train('one', ...settings);
  assert.equal(one.steps().length, STEPS);
  for (const size of [2, 4]) {
    const many = await runs.train(`of${size}`, ...settings, '--workers', String(size));
    const measured = [
      ['losses', lossDistance(many.steps(), one.steps()), LOSS_BOUND],
      ['heads', stateDistance(many, one, STEPS, HEADS), HEAD_GRADIENT_BOUND],
      ['gradients', stateDistance(many, one, STEPS, /^optimizer/), GRADIENT_BOUND],
    ] as const;
    for (const [what, distance] of measured) {
      t.diagnostic(`R=${size}: ${what} ${distance.toExponential(1)}`);
    }
    for (const [what, distance, bound] of measured) {
      assert.ok(distance < bound, `R=${size}: ${what} ${distance}, bound ${bound}`);
    }
    // All ranks' banks: a group whose states differ at the end has no good end.
    assertSameBanks(many, one, STEPS);
  }
});

const HEADS = /^optimizer.*(head\.classifier|project_head)/;

test('the bounds tell the switches apart', async () => {
  const settings = [...ALL_TERMS_GLOBAL, `train.steps=${FEW_STEPS}`];
  const one = await runs.train('few', ...settings);
  for (const key of ['minibatch', 'labelledMean']) {
    const official = `distributed.${key}=rank`;
    const other = await runs.train(key, ...settings, official, '--workers', '2');
    const losses = lossDistance(other.steps(), one.steps());
    assert.ok(losses > 2 * LOSS_BOUND, `${key}: losses ${losses}`);
    assertSameBanks(other, one, FEW_STEPS);
  }
  const own = await runs.train('norms', ...settings, 'distributed.norms=rank', '--workers', '2');
  assert.ok(
    lossDistance(own.steps(), one.steps()) > 10 * LOSS_BOUND,
    `${lossDistance(own.steps(), one.steps())}`,
  );
});
