/** The channel terms of CIRKD's second version with their bank. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ChannelTermSettings, channelTerms } from '../../src/distill/channelTerms.js';
import { ChannelMemoryBank } from '../../src/memory/channelMemoryBank.js';
import { float32, numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import { uniform } from '../support/numerics/comparedLosses.js';

const [IMAGES, CHANNELS, SIDE] = [2, 5, 8];
/** 8 x 8 pooled by 4. */
const POSITIONS = 4;

const SETTINGS: ChannelTermSettings = {
  weights: { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 },
  ...{ contrastTemperature: 0.1, contrastKdTemperature: 1 },
  ...{ channelContrastRows: 16, channelUpdateFreq: 7 },
  tiling: { lossMemoryMiB: 64 },
};

const bankOf = (positions = POSITIONS, size = 20) =>
  new ChannelMemoryBank({
    ...{ size, positions, precision: 'fp32', ringWrap: 'ring', sampling: 'filled' },
  });

const first = (_: number, take: number) => Int32Array.from({ length: take }, (_, i) => i);
const CHOICES = { enqueueChannels: first, sampleChannels: first };

function run(bank: ChannelMemoryBank | null, settings = SETTINGS) {
  return scope(() => {
    const projected = float32(uniform(IMAGES * POSITIONS * CHANNELS, 1), [IMAGES, 2, 2, CHANNELS]);
    const shape = [IMAGES, SIDE, SIDE, CHANNELS];
    const teacher = float32(uniform(IMAGES * SIDE * SIDE * CHANNELS, 2), shape);
    const { losses, gradient_NhwD } = channelTerms(projected, teacher, bank, CHOICES, settings);
    return { losses, gradient: readFloat32(gradient_NhwD) };
  });
}

describe('channelTerms', () => {
  it('enqueues up to channelUpdateFreq channels, which discard() takes back', () => {
    const bank = bankOf();
    run(bank);
    assert.equal(bank.fill(0), 7);
    bank.discard();
    assert.equal(bank.fill(0), 0);
    run(bank, { ...SETTINGS, channelUpdateFreq: 256 });
    bank.commit();
    assert.equal(bank.fill(0), IMAGES * CHANNELS);
    const state = bank.exportState();
    assert.deepEqual([...state.keys()], ['channel_queue', 'channel_ptr', 'channel_fill']);
    assert.deepEqual(state.get('channel_queue')!.shape, [1, 20, POSITIONS]);
  });

  it('computes only the terms that have a weight; the gradient is the weighted sum of theirs', () => {
    const whole = run(bankOf());
    const sum = new Float32Array(whole.gradient.length);
    for (const [term, weight] of Object.entries(SETTINGS.weights)) {
      const part = run(bankOf(), { ...SETTINGS, weights: { [term]: weight } });
      assert.deepEqual([...part.losses.keys()], [term]);
      assert.equal([...part.losses.values()][0], whole.losses.get([...part.losses.keys()][0]!));
      part.gradient.forEach((value, i) => {
        sum[i]! += value;
      });
    }
    for (const [i, value] of whole.gradient.entries()) {
      assert.ok(Math.abs(value - sum[i]!) < 1e-5, `${i}: ${value}, wanted ${sum[i]}`);
    }
    const none = run(null, { ...SETTINGS, weights: {} });
    assert.ok(none.losses.size === 0 && none.gradient.every((value) => value === 0), 'a gradient');
  });

  it('refuses a bank of another crop size, and a missing one', () => {
    assert.throws(
      () => run(bankOf(9)),
      /^RangeError: channel bank: rows of 9 positions, this batch's have 4$/,
    );
    assert.throws(() => run(null), /weights\.memory_channel: given, and there's no channel bank/);
  });

  it('leaves no tensor behind', () => {
    run(bankOf());
    const before = numTensors();
    for (let i = 0; i < 5; i++) run(bankOf());
    assert.equal(numTensors(), before);
  });
});
