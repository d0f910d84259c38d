/** Memory terms with real banks, in edge cases. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryTerms } from '../../src/distill/memoryTerms.js';
import { unitRows } from '../../src/losses/normalize.js';
import { drawnChoices } from '../../src/memory/choices.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import type { Precision } from '../../src/memory/rowStore.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, readFloat32, scope } from '../../src/tensor/index.js';

const [POSITIONS, CHANNELS, CLASSES] = [12, 8, 3];

const uniform = (length: number, stream: number) => {
  const values = new Float32Array(length);
  drawsFor(13, 'test', stream).fillUniform(values, -1, 1);
  return values;
};

/** A bank that holds `rows` rows of each class. */
function bankOf(rows: number, precision: Precision): PixelMemoryBank {
  const bank = new PixelMemoryBank({
    ...{ classes: CLASSES, size: 20, channels: CHANNELS, precision },
    ringWrap: 'ring',
    sampling: 'filled',
  });
  for (let c = 0; c < CLASSES; c++) bank.stage(c, uniform(rows * CHANNELS, 20 + c));
  bank.commit();
  return bank;
}

function evaluate(
  bank: PixelMemoryBank,
  student = uniform(POSITIONS * CHANNELS, 1),
  labelled = Int32Array.from({ length: POSITIONS }, (_, i) => i),
) {
  return scope(() => {
    const shape = [POSITIONS, CHANNELS];
    const teacher = unitRows(float32(uniform(POSITIONS * CHANNELS, 2), shape)).embedding_PC;
    const rows = bank.sample(5, drawnChoices(0, 0, 0));
    const { losses, gradient_PD } = memoryTerms(
      float32(student.slice(), shape),
      teacher,
      labelled,
      [{ name: 'memory_pixel', weight: 2, rows }],
      { contrastTemperature: 0.1, contrastKdTemperature: 1, tiling: { lossMemoryMiB: 16 } },
    );
    return { loss: losses.get('memory_pixel')!, gradient: readFloat32(gradient_PD), rows };
  });
}

const largest = (values: Float32Array) =>
  values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);

describe('memoryTerms', () => {
  it('are nearly the same with rows stored in fp16', () => {
    const [single, half] = (['fp32', 'fp16'] as const).map((precision) =>
      evaluate(bankOf(9, precision)),
    );
    assert.equal(half!.rows.data.BYTES_PER_ELEMENT, 2);
    assert.ok(Math.abs(half!.loss / single!.loss - 1) < 2e-3, `${half!.loss}, ${single!.loss}`);
    const difference = half!.gradient.map((value, i) => value - single!.gradient[i]!);
    assert.ok(largest(difference) < 5e-3 * largest(single!.gradient), 'the gradients differ');
  });

  it('use the rows there are if more are requested', () => {
    const { rows, loss, gradient } = evaluate(bankOf(2, 'fp32'));
    assert.equal(rows.count, 2 * CLASSES);
    assert.ok(loss > 0 && gradient.every(Number.isFinite), `loss ${loss}`);
  });

  it('are 0 with a bank that has a single filled slot', () => {
    const bank = bankOf(0, 'fp32');
    bank.stage(1, uniform(CHANNELS, 30));
    const { loss, gradient } = evaluate(bank);
    assert.ok(Math.abs(loss) < 1e-6 && largest(gradient) < 1e-6, `loss ${loss}`);
  });

  it('stay finite if the projected feature is zero at some or all positions', () => {
    for (const zeros of [CHANNELS, POSITIONS * CHANNELS]) {
      const student = uniform(POSITIONS * CHANNELS, 1).fill(0, 0, zeros);
      const { loss, gradient } = evaluate(bankOf(9, 'fp32'), student);
      assert.ok(Number.isFinite(loss) && gradient.every(Number.isFinite), `loss ${loss}`);
    }
  });

  it('give no gradient to positions without a label', () => {
    const labelled = Int32Array.of(3);
    const { loss, gradient } = evaluate(bankOf(9, 'fp32'), undefined, labelled);
    assert.ok(loss > 0, `loss ${loss}`);
    for (const [i, value] of gradient.entries()) {
      if (Math.floor(i / CHANNELS) !== 3) assert.equal(value, 0);
    }
    assert.ok(largest(gradient) > 0, 'no gradient at the labelled position');
  });

  it('become NaN with a NaN feature', () => {
    const student = uniform(POSITIONS * CHANNELS, 1);
    student[5] = Number.NaN;
    assert.ok(Number.isNaN(evaluate(bankOf(9, 'fp32'), student).loss), 'a NaN got lost');
  });
});
