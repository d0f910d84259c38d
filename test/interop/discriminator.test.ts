/**
 * The adversary of a run beside real PyTorch: the discriminator from the same start, trained by
 * torch.optim.Adam with torch.nn.utils.spectral_norm, on the same logits (discriminatorPeer.py).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { toChannelsFirst } from '../../src/conformance/layout.js';
import {
  type DiscriminatorObjective,
  skdDiscriminator,
  skdHolistic,
} from '../../src/losses/adversarial/skdHolistic.js';
import { StagedBuffers } from '../../src/models/buffers.js';
import type { WeightSource } from '../../src/models/builder.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, readFloat32, scope } from '../../src/tensor/index.js';
import { AdamW } from '../../src/train/adamW.js';
import { Adversary } from '../../src/train/adversary/adversary.js';
import {
  DiscriminatorModel,
  discriminatorWeights,
} from '../../src/train/adversary/discriminatorModel.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('discriminatorPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-discriminator-'));
after(() => rmSync(folder, { recursive: true }));

const STEPS = 3;
const CLASSES = 5;
const SHAPE = [2, 65, 72, CLASSES] as const;
const TILING = { lossMemoryMiB: 64 };
const OPTIMIZER = { betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0 } as const;
const RATE = 4e-4;
const WEIGHT = 0.1;
const SHARES = Array.from({ length: STEPS }, (_, step) => [0.1 + 0.2 * step, 0.9 - 0.25 * step]);

/** The start of a run, but with attentions that count from the first step on. */
const start: WeightSource = (name, shape, role, initialisation) =>
  name.endsWith('.gamma')
    ? Float32Array.of(0.7)
    : discriminatorWeights(11, CLASSES)(name, shape, role, initialisation);

/** Of the student in a step; the teacher's are larger, and step by step others. */
function logitsOf(step: number, side: 'student' | 'teacher'): Float32Array {
  const values = new Float32Array(SHAPE.reduce((product, length) => product * length, 1));
  const reach = side === 'teacher' ? 6 : 2;
  drawsFor(31, 'test', step, side === 'teacher' ? 1 : 0).fillUniform(values, -reach, reach);
  return values;
}

const write = (name: string, data: Float32Array | Uint8Array) =>
  writeFileSync(
    join(folder, `${name}.f32`),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );

function read(name: string): Float32Array {
  return new Float32Array(new Uint8Array(readFileSync(join(folder, `${name}.f32`))).buffer);
}

/** By the names without the prefix. */
function stateOf(model: DiscriminatorModel): Map<string, Float32Array> {
  return new Map(
    [...model.state.stateDict()].map(([name, { data }]) => [
      name.replace(/^discriminator\./, ''),
      new Float32Array(new Uint8Array(data).buffer),
    ]),
  );
}

const largestOf = (values: Float32Array) =>
  values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

/**
 * What has no gradient but for rounding, which Adam turns into steps of any size: keys' biases under a
 * softmax, and biases whose gradient is the sum of the scores' gradients, 1 - 1.
 */
const STILL = [
  'attn1.key_conv.bias',
  'attn2.key_conv.bias',
  'attn2.value_conv.bias',
  'last.0.bias',
];

interface Moved {
  readonly values: Float32Array;
  readonly wanted: Float32Array;
  readonly from: Float32Array;
}

/** That it has moved as PyTorch's has, up to a share of the way. */
function assertMoved(name: string, { values, wanted, from }: Moved): void {
  const distance = (a: Float32Array, b: Float32Array) =>
    Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
  const moved = distance(wanted, from) / Math.sqrt(values.length);
  const off = distance(values, wanted) / Math.sqrt(values.length);
  if (STILL.includes(name)) {
    assert.ok(moved < 1e-3 * RATE, `${name}: PyTorch's has moved by ${moved}`);
    assert.ok(off <= 1.5 * STEPS * RATE, `${name}: off by ${off}`);
    return;
  }
  assert.ok(moved > 0.1 * RATE, `${name}: PyTorch's has moved by ${moved}`);
  assert.ok(off < 1e-3 * moved, `${name}: off by ${off}, of ${moved} moved`);
}

/** Losses and the student's gradient of each step; the state moves on. */
function train(adversary: Adversary) {
  return Array.from({ length: STEPS }, (_, step) => {
    for (const side of ['student', 'teacher'] as const) {
      write(`${step}-${side}`, toChannelsFirst(logitsOf(step, side), SHAPE).data);
    }
    return scope(() => {
      const staged = new StagedBuffers();
      const at = adversary.input(staged, { step, microBatch: 0, images: SHAPE[0] });
      const student = float32(logitsOf(step, 'student'), SHAPE);
      const teacher = float32(logitsOf(step, 'teacher'), SHAPE);
      const own = skdHolistic(student, at, TILING);
      const after = { ...at, state: own.state };
      const trained = skdDiscriminator(student, teacher, after, TILING, at.objective);
      adversary.apply(adversary.stage(staged, trained), step);
      staged.commit();
      const gradient = toChannelsFirst(readFloat32(own.gradient_NHWK), SHAPE).data;
      return { student: own.loss, own: trained.loss, gradient };
    });
  });
}

for (const kind of ['hinge', 'wgan-gp'] as const) {
  test(`${STEPS} updates of the discriminator are PyTorch's, ${kind}`, async () => {
    const model = new DiscriminatorModel(CLASSES, start);
    const objective = ({ step }: { readonly step: number }): DiscriminatorObjective =>
      kind === 'hinge'
        ? { kind }
        : { kind, penalty: 10, shares_N: Float32Array.from(SHARES[step]!) };
    const adversary = new Adversary({
      ...{ model, objective, weight: WEIGHT },
      optimizer: new AdamW(model.parameters(), OPTIMIZER),
      schedule: { learningRate: RATE, polyPower: 0, steps: STEPS, warmupSteps: 0 },
    });
    const before = stateOf(model);
    for (const [name, values] of before) write(`start-${name}`, values);
    const steps = train(adversary);
    const [n, h, w, k] = SHAPE;
    const plan = {
      ...{ kind, classes: CLASSES, weight: WEIGHT, penalty: 10, rate: RATE },
      ...{ betas: OPTIMIZER.betas, epsilon: OPTIMIZER.epsilon, shape: [n, k, h, w] },
      // As they are in float32 here.
      shares: SHARES.map((shares) => [...Float32Array.from(shares)]),
    };
    const { losses } = await torchPeer<{ losses: { student: number; own: number }[] }>(
      ...([PEER, JSON.stringify(plan), folder] as const),
    );
    for (const [step, got] of steps.entries()) {
      const wanted = losses[step]!;
      for (const loss of ['student', 'own'] as const) {
        const off = Math.abs(got[loss] - wanted[loss]);
        const allowed = 1e-4 * Math.max(1, Math.abs(wanted[loss]));
        assert.ok(off < allowed, `step ${step}, ${loss}: ${got[loss]}, PyTorch's ${wanted[loss]}`);
      }
      const gradient = read(`${step}-gradient`);
      const allowed = 1e-3 * largestOf(gradient);
      for (const [i, value] of got.gradient.entries()) {
        const off = Math.abs(value - gradient[i]!);
        assert.ok(off < allowed, `step ${step}, gradient[${i}]: ${value}, ${gradient[i]}`);
      }
    }
    for (const [name, values] of stateOf(model)) {
      assertMoved(name, { values, wanted: read(`end-${name}`), from: before.get(name)! });
    }
    adversary.dispose();
  });
}
