/** AdamW against its formulas in double precision. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import { float32, numTensors, Parameter, scope } from '../../src/tensor/index.js';
import { AdamW } from '../../src/train/adamW.js';

const SETTINGS = { betas: [0.9, 0.99], epsilon: 1e-3, weightDecay: 0.1 } as const;

function uniform(length: number, stream: number): Float32Array {
  const values = new Float32Array(length);
  drawsFor(23, 'test', stream).fillUniform(values, -1, 1);
  return values;
}

/** PyTorch's update, one number at a time. */
class Plain {
  #m = 0;
  #v = 0;

  w: number;
  readonly decay: number;

  constructor(w: number, decay: number) {
    this.w = w;
    this.decay = decay;
  }

  update(gradient: number, rate: number, t: number): void {
    const [beta1, beta2] = SETTINGS.betas;
    this.w -= rate * this.decay * this.w;
    this.#m = beta1 * this.#m + (1 - beta1) * gradient;
    this.#v = beta2 * this.#v + (1 - beta2) * gradient ** 2;
    const root = Math.sqrt(this.#v / (1 - beta2 ** t));
    this.w -= (rate * (this.#m / (1 - beta1 ** t))) / (root + SETTINGS.epsilon);
  }
}

test('five updates are those of the formulas, per group of parameters', () => {
  const before = numTensors();
  const [matrix, vector] = [uniform(6, 1), uniform(3, 2)];
  const plain = {
    matrix: [...matrix].map((w) => new Plain(w, SETTINGS.weightDecay)),
    vector: [...vector].map((w) => new Plain(w, 0)),
  };
  const parameters = [
    new Parameter('head.w', matrix, [2, 3]),
    new Parameter('norm.b', vector, [3]),
  ] as const;
  const adamW = new AdamW(parameters, SETTINGS, ({ shape }) => ({
    rateFactor: shape.length > 1 ? 10 : 1,
    isDecayed: shape.length > 1,
  }));
  for (let step = 0; step < 5; step++) {
    const rate = 0.01 * (1 - step / 10);
    const gradients = [uniform(6, 10 + step), uniform(3, 20 + step)] as const;
    scope(() =>
      adamW.apply(
        new Map([
          [parameters[0], float32(gradients[0].slice(), [2, 3])],
          // At one step without a gradient: like one of zero.
          ...(step === 3 ? [] : [[parameters[1], float32(gradients[1].slice(), [3])] as const]),
        ]),
        rate,
        step,
      ),
    );
    for (const [i, one] of plain.matrix.entries())
      one.update(gradients[0][i]!, 10 * rate, step + 1);
    for (const [i, one] of plain.vector.entries()) {
      one.update(step === 3 ? 0 : gradients[1][i]!, rate, step + 1);
    }
    for (const [k, name] of (['matrix', 'vector'] as const).entries()) {
      for (const [i, value] of parameters[k]!.toFloat32().entries()) {
        const { w } = plain[name][i]!;
        assert.ok(Math.abs(value - w) < 2e-6, `step ${step}, ${name}[${i}]: ${value}, wanted ${w}`);
      }
    }
  }
  assert.deepEqual([...adamW.slots().keys()], ['mean.', 'square.']);
  adamW.dispose();
  for (const parameter of parameters) parameter.dispose();
  assert.equal(numTensors(), before);
});
