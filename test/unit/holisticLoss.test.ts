/** SKD's discriminator and its parts: gradients, tiles, spectral norm, the hinge, what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DiscriminatorParameter } from '../../src/losses/adversarial/discriminatorParameters.js';
import { skdDiscriminator, skdHolistic } from '../../src/losses/adversarial/skdHolistic.js';
import { spectralNorm } from '../../src/losses/adversarial/spectralNorm.js';
import {
  differentiable,
  float32,
  numTensors,
  readFloat32,
  scope,
  Tape,
  zeros,
} from '../../src/tensor/index.js';
import {
  assertSome,
  CLASSES,
  converged,
  discriminator,
  logits,
  names,
  startValues,
  student,
  TILING,
  teacher,
  WIDTH,
} from '../support/numerics/smallDiscriminator.js';
import {
  assertGradients,
  randomInput,
  separatedInput,
} from '../support/numerics/finiteDifference.js';

describe('leaky ReLU', () => {
  it('has its gradient on the tape, on both sides of 0', () => {
    assertGradients(
      (tape, [x]) => differentiable.leakyRelu(tape, x!, 0.1),
      [separatedInput(1, [2, 3, 3, 2], 0.1)],
    );
  });
});

describe('spectral norm', () => {
  const shape = [4, 4, 3, 6];
  const input = randomInput(4, shape);
  const u = converged(input.values, shape);

  it('has its gradient on the tape; the singular vectors are constants', () => {
    // Converged, because the difference quotient moves u and v, to which sigma is then stationary.
    assertGradients(
      (tape, [w]) => spectralNorm(tape, w!, float32(u.slice(), [6])).weights,
      [input],
    );
  });

  it('leaves a largest singular value of 1', () => {
    scope(() => {
      const tape = new Tape(false);
      const once = spectralNorm(
        tape,
        tape.constant(float32(input.values.slice(), shape)),
        float32(u.slice(), [6]),
      );
      const twice = spectralNorm(tape, once.weights, once.u_K);
      const [a, b] = [readFloat32(once.weights.value), readFloat32(twice.weights.value)];
      for (const [i, value] of a.entries()) {
        assert.ok(Math.abs(value - b[i]!) < 1e-5, `${value}, again ${b[i]}`);
      }
    });
  });
});

describe('skd_holistic', () => {
  it("has the gradient of the student's loss, in tiles of any size", () => {
    const run = (values: Float32Array, tileRows?: number) =>
      scope(() => {
        const tiling = { ...TILING, tileRows };
        const { loss, gradient_NHWK } = skdHolistic(
          logits(values),
          discriminator(startValues),
          tiling,
        );
        return { loss, gradient: readFloat32(gradient_NHWK) };
      });
    const before = numTensors();
    const whole = run(student);
    assertSome(whole.gradient, student, 0.05, (x) => run(x).loss);
    for (const tileRows of [1, 7]) {
      const tiled = run(student, tileRows);
      assert.ok(Math.abs(tiled.loss - whole.loss) < 1e-6, `${tiled.loss}, ${whole.loss}`);
      for (const [i, value] of tiled.gradient.entries()) {
        assert.ok(Math.abs(value - whole.gradient[i]!) < 1e-7, `${i}: ${value}`);
      }
    }
    assert.equal(numTensors(), before);
  });

  it("has the gradients of the discriminator's loss", () => {
    const run = (values: ReadonlyMap<DiscriminatorParameter, Float32Array>) =>
      scope(() => {
        const { loss, gradients } = skdDiscriminator(
          logits(student),
          logits(teacher),
          discriminator(values),
          TILING,
        );
        const read = names.map((name) => [name, readFloat32(gradients[name])] as const);
        return { loss, gradients: new Map(read) };
      });
    const before = numTensors();
    const { gradients } = run(startValues);
    for (const name of [
      ...(['preprocess_additional.weight', 'l1.0.weight', 'l3.0.bias', 'attn1.gamma'] as const),
      ...(['attn2.value_conv.weight', 'attn2.query_conv.weight', 'last.0.weight'] as const),
    ]) {
      assertSome(
        gradients.get(name)!,
        startValues.get(name)!,
        2e-3,
        (x) => run(new Map([...startValues, [name, x]])).loss,
      );
    }
    assert.equal(numTensors(), before);
  });

  it('is, for the discriminator, 2 where it says nothing, and moves its state three times', () => {
    scope(() => {
      const silent = new Map([...startValues, ['last.0.weight', new Float32Array(8 * WIDTH * 16)]]);
      silent.set('last.0.bias', new Float32Array(1));
      const start = discriminator(silent as typeof startValues);
      const own = skdHolistic(logits(student), start, TILING);
      assert.ok(Math.abs(own.loss) < 1e-12, `${own.loss}`);
      const after = skdDiscriminator(
        logits(student),
        logits(teacher),
        { ...start, state: own.state },
        TILING,
      );
      assert.ok(Math.abs(after.loss - 2) < 1e-6, `${after.loss}`);
      // 0.1 of each batch's variance, about 3, after 1: twice the student's, then the teacher's.
      const variance = readFloat32(after.state.runningVariance_K);
      assert.ok(
        variance.every((value) => Math.abs(value - (0.729 + 0.271 * 3)) < 0.05),
        `${variance}`,
      );
    });
  });

  it('has no gradient from scores beyond the hinge', () => {
    scope(() => {
      const sure = new Map([...startValues, ['last.0.weight', new Float32Array(8 * WIDTH * 16)]]);
      sure.set('last.0.bias', Float32Array.of(5));
      const of = discriminator(sure as typeof startValues);
      const { loss, gradients } = skdDiscriminator(logits(student), logits(teacher), of, TILING);
      // The teacher's scores are right by more than 1, the student's wrong by 6.
      assert.ok(Math.abs(loss - 6) < 1e-6, `${loss}`);
      assert.ok(Math.abs(readFloat32(gradients['last.0.bias'])[0]! - 1) < 1e-6, 'both have one');
    });
  });

  it("leaves its inputs alive, whoever's they are", () => {
    const before = numTensors();
    const of = discriminator(startValues);
    const [own, other] = [logits(student), logits(teacher)];
    const inputs = [...Object.values(of.parameters), ...of.state.us, own, other];
    const { runningMean_K, runningVariance_K } = of.state;
    scope(() => {
      skdHolistic(own, of, TILING);
      skdDiscriminator(own, other, of, TILING);
    });
    for (const input of [...inputs, runningMean_K, runningVariance_K]) {
      assert.equal(readFloat32(input).length, input.size);
      input.dispose();
    }
    assert.equal(numTensors(), before);
  });

  it('refuses small logits, and parameters that do not fit', () => {
    scope(() => {
      const of = discriminator(startValues);
      assert.throws(
        () => skdHolistic(zeros([1, 64, 63, CLASSES]), of, TILING),
        /^RangeError: logits: 64x63 positions given, the discriminator needs 64x64$/,
      );
      assert.throws(
        () => skdHolistic(zeros([1, 64, 64, 3]), of, TILING),
        /^RangeError: discriminator: l1\.0\.weight: shape \[4,4,2,8\] given, wanted \[4,4,3,8\]$/,
      );
      const state = { ...of.state, us: of.state.us.slice(1) };
      assert.throws(
        () => skdHolistic(logits(student), { ...of, state }, TILING),
        /^RangeError: discriminator: l1\.0\.weight_u: shape \[16\] given, wanted \[8\]$/,
      );
    });
  });
});
