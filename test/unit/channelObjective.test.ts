/** The channel terms inside the objective: channelTerms' values and gradients, and its bank's staging. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHANNEL_TERMS, type ChannelTerm, termWeights } from '../../src/contract/terms.js';
import { channelTerms } from '../../src/distill/channelTerms.js';
import { Objective } from '../../src/distill/objective.js';
import { unitRows } from '../../src/losses/normalize.js';
import { rawFeature } from '../../src/losses/teacherFeature.js';
import { ChannelMemoryBank, drawnChannelChoices } from '../../src/memory/channelMemoryBank.js';
import { drawnChoices } from '../../src/memory/choices.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, ops, readFloat32, scope, Tape, type Tensor } from '../../src/tensor/index.js';

/** 2 images, 5 x 8 positions, pooled to 2 x 2; 3 classes, 6 channels on both sides. */
const [N, H, W, CLASSES, D] = [2, 5, 8, 3, 6];
const POSITIONS = 2 * 2;

function uniform(shape: readonly number[], stream: number): Tensor {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  drawsFor(9, 'test', stream).fillUniform(values, -1, 1);
  return float32(values, shape);
}

function teacherFeature() {
  const { embedding_PC, norm_P1 } = unitRows(uniform([N * H * W, D], 2));
  return {
    embedding: ops.reshape(embedding_PC, [N, H, W, D]),
    featureNorm: ops.reshape(norm_P1, [N, H, W]),
  };
}

const newBank = () =>
  new ChannelMemoryBank({
    ...{ size: 7, positions: POSITIONS, precision: 'fp32' },
    ...{ ringWrap: 'ring', sampling: 'filled' },
  });

const ROWS = { channelContrastRows: 5, channelUpdateFreq: 3 };
const TEMPERATURES = { contrastTemperature: 0.3, contrastKdTemperature: 2 };
const TILING = { tiling: { lossMemoryMiB: 16 } };

function objectiveOf(
  weights: Parameters<typeof termWeights>[0],
  channel?: ChannelMemoryBank,
  memoryStartStep = 0,
) {
  return new Objective(
    {
      ...{ ...ROWS, ...TEMPERATURES, ...TILING },
      ...{
        classes: CLASSES,
        teacherChannels: D,
        weights: termWeights(weights),
        auxWeight: 0,
        alignCorners: true,
      },
      ...{ kdTemperature: 1, cwdTemperature: 4, dsdTemperature: 4 },
      ...{ minibatchGroup: 0, minibatchPooling: 'auto', memoryStartStep },
      ...{ pixelContrastRows: 1, regionContrastRows: 1, pixelUpdateFreq: 1 },
      ...{ pixelEnqueue: 'class', allIgnored: 'zero' },
    },
    { pixel: null, region: null, ...(channel === undefined ? {} : { channel }) },
  );
}

/** The map stands for the pooled, projected feature. */
function evaluate(objective: Objective, step = 0, withChannel = true) {
  return scope(() => {
    const tape = new Tape(true);
    const projected = tape.leaf(uniform([N, 2, 2, D], 1));
    const channel = { project: () => projected, choices: drawnChannelChoices(1, step, 0) };
    const { terms, seeds } = objective.evaluate({
      student: {
        logits: tape.leaf(uniform([N, H, W, CLASSES], 3)),
        aux: null,
        feature: tape.leaf(uniform([N, H, W, D], 4)),
      },
      labels: { data: new Uint8Array(N * H * W), images: N, height: H, width: W },
      teacher: { logits: null, ...teacherFeature(), auxNorm: null },
      project: null,
      ...(withChannel ? { channel } : {}),
      draws: drawnChoices(1, step, 0),
      step,
    });
    return { terms, gradient: readFloat32(tape.backward(seeds).leaves.get(projected)!) };
  });
}

/** channelTerms by itself on the same inputs. */
function wanted(weights: Partial<Record<ChannelTerm, number>>, bank: ChannelMemoryBank | null) {
  return scope(() => {
    const { embedding: embedding_NHWD, featureNorm: norm_NHW } = teacherFeature();
    const { losses, gradient_NhwD } = channelTerms(
      uniform([N, 2, 2, D], 1),
      rawFeature({ embedding_NHWD, norm_NHW }),
      bank,
      drawnChannelChoices(1, 0, 0),
      { ...ROWS, ...TEMPERATURES, ...TILING, weights },
    );
    return { losses, gradient: readFloat32(gradient_NhwD) };
  });
}

const stateOf = (bank: ChannelMemoryBank) =>
  new Map(
    [...bank.exportState()].map(([name, { data }]) => [name, Buffer.from(data).toString('hex')]),
  );

describe('the channel terms of the objective', () => {
  for (const term of CHANNEL_TERMS) {
    it(`${term}: value unweighted, gradient times its weight`, () => {
      const hasBank = term === 'memory_channel';
      const got = evaluate(objectiveOf({ [term]: 2.5 }, hasBank ? newBank() : undefined));
      const { losses, gradient } = wanted({ [term]: 2.5 }, hasBank ? newBank() : null);
      const loss = losses.get(term)!;
      assert.ok(loss > 0, `${loss}`);
      assert.deepEqual(got.terms, { [term]: loss, total: 2.5 * loss });
      assert.deepEqual(got.gradient, gradient);
    });
  }

  it('all three: one gradient, the weighted total', () => {
    const weights = { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 };
    const { terms, gradient } = evaluate(objectiveOf(weights, newBank()));
    assert.deepEqual(Object.keys(terms), [...CHANNEL_TERMS, 'total']);
    assert.deepEqual(gradient, wanted(weights, newBank()).gradient);
  });

  it('discard undoes the rows of an evaluation, commit keeps them', () => {
    const bank = newBank();
    const objective = objectiveOf({ memory_channel: 1 }, bank);
    evaluate(objective);
    objective.commit();
    const before = stateOf(bank);
    assert.equal(bank.fill(0), ROWS.channelUpdateFreq);
    evaluate(objective, 1);
    assert.equal(bank.fill(0), 2 * ROWS.channelUpdateFreq);
    objective.discard();
    assert.deepEqual(stateOf(bank), before);
  });

  it('before the start step memory_channel only fills the bank, and the other two are as ever', () => {
    const weights = { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 };
    const bank = newBank();
    const objective = objectiveOf(weights, bank, 2);
    const before = evaluate(objective, 1);
    assert.equal(before.terms.memory_channel, 0);
    assert.equal(bank.fill(0), ROWS.channelUpdateFreq);
    const { memory_channel: _, ...others } = weights;
    assert.deepEqual(before.gradient, wanted(others, null).gradient);
    assert.ok(evaluate(objective, 2).terms.memory_channel! > 0, 'no memory term in step 2');
  });

  it('names what is missing: the bank, the projection', () => {
    assert.throws(() => objectiveOf({ memory_channel: 1 }), /memory_channel: .* no channel bank/);
    const objective = objectiveOf({ channel_mse: 1 });
    assert.throws(() => evaluate(objective, 0, false), /channel: absent/);
  });
});
