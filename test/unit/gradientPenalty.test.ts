/** WGAN-GP's gradient penalty and what it is made of: tangents beside differences, gradients of both. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { discriminate } from '../../src/losses/adversarial/discriminator.js';
import {
  type DiscriminatorParameter,
  mapParameters,
} from '../../src/losses/adversarial/discriminatorParameters.js';
import { gradientPenalty } from '../../src/losses/adversarial/gradientPenalty.js';
import { skdDiscriminator } from '../../src/losses/adversarial/skdHolistic.js';
import {
  differentiable,
  float32,
  numTensors,
  ops,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import {
  assertGradients,
  type Input,
  randomInput,
  separatedInput,
} from '../support/numerics/finiteDifference.js';
import {
  assertSome,
  discriminator,
  logits,
  names,
  startValues,
  student,
  TILING,
  teacher,
} from '../support/numerics/smallDiscriminator.js';

/** 3 maps, 5 queries, 7 keys, 4 and 6 channels. */
const AT = [
  [3, 5, 4],
  [3, 7, 4],
  [3, 7, 6],
] as const;
const inputs = [...AT, ...AT].map((shape, i) => randomInput(30 + i, shape, 0.7));

const optionsOf = (tileElements: number) => ({ factor: 0.8, tileElements });

function tangentOf(tape: Tape, vars: readonly Var[], tileElements: number): Var {
  const [query, key, value, query2, key2, value2] = vars as [Var, Var, Var, Var, Var, Var];
  return differentiable.attentionTangent(
    tape,
    { query, key, value },
    { query: query2, key: key2, value: value2 },
    optionsOf(tileElements),
  );
}

/** Of all three inputs moved by `by` times their directions. */
function attentionAt(by: number): Float32Array {
  return scope(() => {
    const tape = new Tape(false);
    const moved = ([0, 1, 2] as const).map((i) => {
      const along = inputs[i + 3]!.values;
      const values = inputs[i]!.values.map((value, j) => value + by * along[j]!);
      return tape.constant(float32(values, inputs[i]!.shape));
    });
    const [query, key, value] = moved as [Var, Var, Var];
    return readFloat32(differentiable.attention(tape, query, key, value, optionsOf(1e6)).value);
  });
}

describe("attention's tangent", () => {
  it('is the derivative along the direction, in tiles of any size', () => {
    const step = 2 ** -6;
    const [ahead, behind] = [attentionAt(step), attentionAt(-step)];
    for (const tileElements of [1, 14, 35, 70, 1e6]) {
      const got = scope(() => {
        const tape = new Tape(false);
        const vars = inputs.map(({ values, shape }) =>
          tape.constant(float32(values.slice(), shape)),
        );
        return readFloat32(tangentOf(tape, vars, tileElements).value);
      });
      for (const [i, value] of got.entries()) {
        const wanted = (ahead[i]! - behind[i]!) / (2 * step);
        assert.ok(Math.abs(value - wanted) < 1e-3, `${i}: ${value}, difference ${wanted}`);
      }
    }
  });

  for (const tileElements of [1, 21, 1e6]) {
    it(`has its gradients on the tape, ${tileElements} elements a tile`, () => {
      assertGradients((tape, vars) => tangentOf(tape, vars, tileElements), inputs);
    });
  }
});

describe("leaky ReLU's tangent", () => {
  it('has its gradient along the direction', () => {
    const at: Input = { ...separatedInput(1, [2, 3, 3, 2], 0.1), differentiate: false };
    assertGradients(
      (tape, [x, along]) => differentiable.leakyReluTangent(tape, x!, along!, 0.1),
      [at, randomInput(2, [2, 3, 3, 2])],
    );
  });
});

const SHARES = Float32Array.of(0.3, 0.85);
const of = (values: Float32Array): Tensor => logits(values);

describe('gradient penalty', () => {
  it("is computed along the tangent: the discriminator's own derivative", () => {
    scope(() => {
      const { parameters, state } = discriminator(startValues);
      const direction = teacher.map((value, i) => 0.3 * value - 0.1 * student[i]!);
      const run = (by: number, along: Tensor | null) => {
        const tape = new Tape(false);
        const vars = mapParameters(parameters, (value) => tape.constant(value));
        const at = student.map((value, i) => value + by * direction[i]!);
        return discriminate(tape, tape.constant(of(at)), vars, state, TILING, along);
      };
      const got = readFloat32(run(0, of(direction)).tangent!.value);
      const step = 2 ** -9;
      const [ahead, behind] = [step, -step].map((by) => readFloat32(run(by, null).scores.value));
      for (const [i, value] of got.entries()) {
        const wanted = (ahead![i]! - behind![i]!) / (2 * step);
        const off = Math.abs(value - wanted);
        assert.ok(off < 0.01 * Math.max(1, Math.abs(wanted)), `${i}: ${value}, ${wanted}`);
      }
    });
  });

  it('has its gradients, in tiles of any size', () => {
    type Values = ReadonlyMap<DiscriminatorParameter, Float32Array>;
    const run = (values: Values, tileRows?: number) =>
      scope(() => {
        const tiling = { ...TILING, tileRows };
        const computed = gradientPenalty(
          of(student),
          of(teacher),
          SHARES,
          discriminator(values),
          tiling,
        );
        const read = names.map((name) => [name, readFloat32(computed.gradients[name])] as const);
        return { loss: computed.loss, gradients: new Map(read) };
      });
    const before = numTensors();
    const { loss, gradients } = run(startValues);
    assert.ok(loss > 0, `${loss}`);
    // Of what comes after the last leaky ReLU. What comes before moves its kinks, where the penalty
    // jumps: a difference has these jumps and the gradient has not, in PyTorch either, beside which
    // test/interop/comparedLosses.test.ts checks all of them.
    for (const name of [
      ...(['attn2.gamma', 'attn2.query_conv.weight', 'attn2.query_conv.bias'] as const),
      ...(['attn2.key_conv.weight', 'attn2.value_conv.weight', 'last.0.weight'] as const),
    ]) {
      assertSome(
        gradients.get(name)!,
        startValues.get(name)!,
        2e-3,
        (x) => run(new Map([...startValues, [name, x]])).loss,
      );
    }
    // The last bias moves all scores alike, and no slope.
    assert.deepEqual(gradients.get('last.0.bias'), new Float32Array(1));
    for (const [name, tiled] of run(startValues, 1).gradients) {
      const whole = gradients.get(name)!;
      const largest = whole.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
      for (const [i, value] of tiled.entries()) {
        assert.ok(Math.abs(value - whole[i]!) < 1e-5 * largest, `${name}[${i}]: ${value}`);
      }
    }
    assert.equal(numTensors(), before);
  });

  it("adds up to the discriminator's loss, with a state that one more pass has moved", () => {
    scope(() => {
      const at = discriminator(startValues);
      const inputsOf = [of(student), of(teacher), at, TILING] as const;
      const plain = { kind: 'wgan-gp', penalty: 0, shares_N: SHARES } as const;
      const scored = skdDiscriminator(...inputsOf, plain);
      const both = skdDiscriminator(...inputsOf, { ...plain, penalty: 4 });
      const after = { ...at, state: scored.state };
      const alone = gradientPenalty(of(student), of(teacher), SHARES, after, TILING);
      assert.equal(both.loss, scored.loss + 4 * alone.loss);
      const [name] = ['attn1.value_conv.weight'] as const;
      const sum = ops.add(
        scored.gradients[name],
        ops.mul(alone.gradients[name], float32(Float32Array.of(4), [])),
      );
      assert.deepEqual(readFloat32(both.gradients[name]), readFloat32(sum));
      for (const [layer, u] of both.state.us.entries()) {
        assert.deepEqual(readFloat32(u), readFloat32(alone.state.us[layer]!));
      }
      assert.notDeepEqual(
        readFloat32(both.state.runningMean_K),
        readFloat32(scored.state.runningMean_K),
      );
    });
  });

  it('is 1, without a gradient, where the scores never change', () => {
    scope(() => {
      const flat = new Map(startValues);
      flat.set('last.0.weight', new Float32Array(flat.get('last.0.weight')!.length));
      const { loss, gradients } = gradientPenalty(
        of(student),
        of(teacher),
        SHARES,
        discriminator(flat),
        TILING,
      );
      assert.equal(loss, 1);
      for (const name of names) {
        assert.ok(
          readFloat32(gradients[name]).every((value) => value === 0),
          name,
        );
      }
    });
  });

  it('refuses shares that are not one per image', () => {
    scope(() => {
      assert.throws(
        () =>
          gradientPenalty(
            of(student),
            of(teacher),
            SHARES.slice(1),
            discriminator(startValues),
            TILING,
          ),
        /^RangeError: shares: 1 given, wanted one per image, 2$/,
      );
    });
  });
});
