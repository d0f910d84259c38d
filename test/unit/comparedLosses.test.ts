/** The losses of the methods compared with: gradients, tiles, zero vectors, what they refuse. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cutAveragePool, cutAveragePoolOnTape } from '../../src/losses/averagePool.js';
import {
  attentionMap,
  channelEnergy,
  energyOfNorms,
} from '../../src/losses/compared/attentionMap.js';
import { attentionTransfer } from '../../src/losses/compared/attentionTransfer.js';
import { cwd } from '../../src/losses/compared/cwd.js';
import { dsdPixel } from '../../src/losses/compared/dsdPixel.js';
import { fitnet } from '../../src/losses/compared/fitnet.js';
import { ifvd } from '../../src/losses/compared/ifvd.js';
import { skdPairwise } from '../../src/losses/compared/skdPairwise.js';
import { fill, float32, numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import {
  COMPARED,
  type ComparedResult,
  comparedLoss,
  type LossInputs,
  lossInputs,
  uniform,
} from '../support/numerics/comparedLosses.js';
import { assertGradients, randomInput } from '../support/numerics/finiteDifference.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

const WHOLE = { lossMemoryMiB: 64 };
const SIZES = { images: 2, height: 3, width: 5, studentChannels: 4, teacherChannels: 6 };
const inputs = lossInputs(SIZES);
const NAMES = Object.keys(COMPARED);

const largestOf = (values: Float32Array) =>
  values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

function assertSame(got: ComparedResult, wanted: ComparedResult, what: string): void {
  const off = Math.abs(got.loss - wanted.loss);
  assert.ok(off <= 2e-6 * wanted.loss, `${what}: loss ${got.loss}, wanted ${wanted.loss}`);
  for (const part of ['student', 'weight'] as const) {
    const [a, b] = [got.gradients[part] ?? [], wanted.gradients[part] ?? new Float32Array(0)];
    assert.equal(a.length, b.length, what);
    const allowed = 1e-5 * largestOf(b);
    for (const [i, value] of a.entries()) {
      assert.ok(Math.abs(value - b[i]!) <= allowed, `${what}, ${part}[${i}]: ${value}, ${b[i]}`);
    }
  }
}

for (const name of NAMES) {
  describe(name, () => {
    it('has the gradient of its loss, for the student and the trained convolution', () => {
      const whole = comparedLoss(name, inputs, WHOLE);
      assert.ok(whole.loss > 0, `loss ${whole.loss}`);
      for (const part of ['student', 'weight'] as const) {
        const gradient = whole.gradients[part];
        if (gradient === null) continue;
        // Scaled, because the smallest of these gradients are about 1e-6.
        const scale = 1 / largestOf(gradient);
        const lossAt = (x: Float32Array) =>
          scale * comparedLoss(name, { ...inputs, [part]: x }, WHOLE).loss;
        const scaled = gradient.map((value) => scale * value);
        assertLossGradient(lossAt, inputs[part], scaled, { step: 1e-3, tolerance: 5e-3 });
      }
    });

    it('gives the same in tiles of any size, and leaves no tensor behind', () => {
      const whole = comparedLoss(name, inputs, WHOLE);
      const before = numTensors();
      for (const tileRows of [1, 7, 1000]) {
        const tiled = comparedLoss(name, inputs, { ...WHOLE, tileRows });
        assertSame(tiled, whole, `${name}, tile rows ${tileRows}`);
      }
      assertSame(comparedLoss(name, inputs, { lossMemoryMiB: 0.001 }), whole, '1 KiB');
      assert.equal(numTensors(), before);
    });

    it('stays finite with zero vectors, zero maps and a single position', () => {
      const zeroes: LossInputs = { ...inputs, student: inputs.student.slice().fill(0, 0, 8) };
      const nothing = { ...inputs, student: new Float32Array(inputs.student.length) };
      const single = lossInputs({ ...SIZES, images: 1, height: 1, width: 1 });
      for (const of of [zeroes, nothing, single]) {
        const { loss, gradients } = comparedLoss(name, of, WHOLE);
        const { student, weight } = gradients;
        assert.ok(Number.isFinite(loss), `loss ${loss}`);
        assert.ok(student!.every(Number.isFinite), `gradient ${student}`);
        assert.ok(weight?.every(Number.isFinite) ?? true, `weight's gradient ${weight}`);
      }
    });

    it('shows NaN', () => {
      const student = inputs.student.slice();
      student[7] = Number.NaN;
      const { loss } = comparedLoss(name, { ...inputs, student }, WHOLE);
      assert.ok(Number.isNaN(loss), `loss ${loss}`);
    });
  });
}

const map = (channels: number, stream: number, [n, h, w] = [2, 3, 5]) =>
  float32(uniform(n! * h! * w! * channels, stream), [n!, h!, w!, channels]);

describe('attention maps', () => {
  it("follow from the feature's norms alone", () => {
    scope(() => {
      const feature_NHWC = map(4, 11);
      const norms = new Float32Array(30);
      const values = readFloat32(feature_NHWC);
      for (let p = 0; p < 30; p++) norms[p] = Math.hypot(...values.subarray(4 * p, 4 * p + 4));
      const fromNorms = energyOfNorms(float32(norms, [2, 3, 5]), 4);
      const [own, wanted] = [fromNorms, channelEnergy(feature_NHWC)].map((energy) =>
        readFloat32(attentionMap(energy).embedding_PC),
      );
      for (const [i, value] of own!.entries()) {
        assert.ok(Math.abs(value - wanted![i]!) < 1e-6, `${value}, wanted ${wanted![i]}`);
      }
    });
  });
});

describe('skd_pairwise', () => {
  it('is 0 for equal features, and exact where they nearly agree', () => {
    scope(() => {
      const values = uniform(2 * 16 * 16 * 8, 12).map((value) => value + 3);
      const shape = [2, 16, 16, 8];
      const of = (x: Float32Array) =>
        skdPairwise(float32(x.slice(), shape), float32(values.slice(), shape), WHOLE);
      assert.ok(of(values).loss < 1e-14, `${of(values).loss}`);
      // Twice the distance, four times the loss: lost in float32, where both terms are about 1.
      const near = (by: number) =>
        of(values.map((value, i) => value + (i % 7 === 0 ? by : 0))).loss;
      const ratio = near(2e-3) / near(1e-3);
      assert.ok(Math.abs(ratio - 4) < 0.02, `ratio ${ratio}`);
    });
  });
});

describe('ifvd', () => {
  const [student, teacher] = [uniform(2 * 15 * 4, 13), uniform(2 * 15 * 6, 14)];
  const of = (data: Uint8Array) =>
    scope(() =>
      ifvd(
        float32(student.slice(), [2, 3, 5, 4]),
        float32(teacher.slice(), [2, 3, 5, 6]),
        { data, images: 2, height: 3, width: 5 },
        { classes: 3, tiling: WHOLE },
      ),
    );

  it('is 0 where nothing is labelled', () => {
    const { loss, gradient_NHWC } = of(new Uint8Array(30).fill(255));
    assert.ok(loss < 1e-13, `${loss}`);
    assert.ok(largestOf(readFloat32(gradient_NHWC)) < 1e-6, 'a gradient without labels');
    gradient_NHWC.dispose();
  });

  it('takes a number that is no class as unlabelled', () => {
    const labels = inputs.labels.data;
    const [ignored, foreign] = [255, 7].map((value) =>
      of(labels.map((label) => (label === 255 ? value : label))),
    );
    assert.equal(foreign!.loss, ignored!.loss);
    for (const { gradient_NHWC } of [ignored!, foreign!]) gradient_NHWC.dispose();
  });
});

describe('dsd_psd', () => {
  it('has no gradient from a pair of one tensor, and keeps that of the others', () => {
    scope(() => {
      const [logits, feature] = [map(4, 15), map(6, 16)];
      const energies = [map(4, 17), map(6, 18), map(4, 19)].map(channelEnergy);
      const three = dsdPixel([logits, feature, logits], energies);
      const first = dsdPixel([logits, feature], energies.slice(0, 2));
      const last = dsdPixel([feature, logits], energies.slice(1));
      const wanted = readFloat32(last.gradients[1]!);
      // Of three pairs, in place of one.
      for (const [i, value] of readFloat32(three.gradients[2]!).entries()) {
        const off = Math.abs(3 * value - wanted[i]!);
        assert.ok(off <= 1e-5 * largestOf(wanted), `${3 * value}, wanted ${wanted[i]}`);
      }
      assert.ok(three.loss > (first.loss + last.loss) / 3, 'the pair of one tensor has no loss');
    });
  });
});

describe('average pooling of cut windows', () => {
  it('divides by the positions that a window really has', () => {
    scope(() => {
      const ones = fill([1, 5, 6, 1], 1);
      assert.deepEqual([...readFloat32(cutAveragePool(ones, 4))], [1, 1, 1, 1]);
    });
  });

  it('has its gradient on the tape', () => {
    for (const [shape, window] of [
      [[2, 5, 6, 2], 4],
      [[1, 1, 3, 2], 2],
      [[2, 4, 4, 1], 2],
    ] as const) {
      assertGradients(
        (tape, [x]) => cutAveragePoolOnTape(tape, x!, window),
        [randomInput(1, shape)],
      );
    }
  });
});

describe('shapes that do not fit', () => {
  it('are refused with both of them', () => {
    scope(() => {
      const [student, teacher] = [map(4, 20), map(6, 21)];
      const smaller = map(4, 22, [2, 3, 4]);
      assert.throws(
        () => skdPairwise(student, smaller, WHOLE),
        /^RangeError: teacher map: shape \[2,3,4,4\], the student's is \[2,3,5,4\]$/,
      );
      assert.throws(
        () => cwd(student, teacher, { temperature: 4, tiling: WHOLE }),
        /^RangeError: teacher map: 6 channels, the student's has 4$/,
      );
      assert.throws(
        () => fitnet(student, teacher, float32(new Float32Array(24), [6, 4]), WHOLE),
        /^RangeError: 1x1 convolution: shape \[6,4\] given, wanted \[4,6\]$/,
      );
      assert.throws(
        () => attentionTransfer(student, channelEnergy(smaller)),
        /^RangeError: teacher energies: shape \[2,3,4\] given, wanted \[2,3,5\]$/,
      );
      assert.throws(
        () => dsdPixel([student], [channelEnergy(student)]),
        /^RangeError: levels: 1 of the student and 1 of the teacher given/,
      );
      assert.throws(
        () => dsdPixel([student, student], [channelEnergy(student), channelEnergy(smaller)]),
        /^RangeError: level 1: \[2,3,5,4\] of the student and energies \[2,3,4\]/,
      );
      const labels = { data: new Uint8Array(24), images: 2, height: 3, width: 4 };
      assert.throws(
        () => ifvd(student, teacher, labels, { classes: 3, tiling: WHOLE }),
        /^RangeError: labels: size \[2,3,4\] given, the feature's is \[2,3,5\]$/,
      );
    });
  });
});
