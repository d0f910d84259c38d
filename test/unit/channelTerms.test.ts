/** The channel terms of CIRKD's second version with their bank. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ChannelTermSettings, channelTerms } from '../../src/distill/channelTerms.js';
import { minibatchChannel } from '../../src/losses/channel/minibatchChannel.js';
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

  it('minibatchGroup: the mean over the groups, each by itself; a group that does not divide is refused', () => {
    const weights = { minibatch_channel: 1 };
    const rows = IMAGES * CHANNELS;
    const at = (stream: number, from: number, count: number) =>
      float32(
        uniform(rows * POSITIONS, stream).subarray(from * POSITIONS, (from + count) * POSITIONS),
        [count, POSITIONS],
      );
    const options = { temperature: 0.1, tiling: SETTINGS.tiling };
    const read = (from: number, count: number, images: number, minibatchGroup: number) =>
      scope(() => {
        const inputs = [at(1, from, count), at(2, from, count)] as const;
        const result = minibatchChannel(...inputs, { images, minibatchGroup, ...options });
        return { loss: result.loss, gradient: [...readFloat32(result.gradient_RM)] };
      });
    const grouped = read(0, rows, IMAGES, 1);
    const parts = [0, 1].map((image) => read(image * CHANNELS, CHANNELS, 1, 0));
    const mean = (parts[0]!.loss + parts[1]!.loss) / 2;
    assert.ok(Math.abs(grouped.loss - mean) < 1e-6, `${grouped.loss}, wanted ${mean}`);
    for (const [i, value] of parts.flatMap(({ gradient }) => gradient).entries()) {
      assert.ok(Math.abs(grouped.gradient[i]! - value / 2) < 1e-6, `gradient ${i}`);
    }
    assert.notEqual(
      run(null, { ...SETTINGS, weights, minibatchGroup: 1 }).losses.get('minibatch_channel'),
      run(null, { ...SETTINGS, weights }).losses.get('minibatch_channel'),
    );
    assert.throws(
      () => read(0, rows, IMAGES, 3),
      /minibatchGroup: 3 given, doesn't divide 2 images/,
    );
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
