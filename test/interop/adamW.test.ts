/** AdamW beside torch.optim.AdamW: groups with their own rates and decays, under a falling rate. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { drawsFor } from '../../src/random/draws.js';
import { float32, Parameter, scope, type Tensor } from '../../src/tensor/index.js';
import { AdamW } from '../../src/train/adamW.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('adamWPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-adamw-torch-'));
after(() => rmSync(folder, { recursive: true }));

const SIZE = 8;
const GROUPS = [
  { factor: 1, decay: 0.05 },
  { factor: 10, decay: 0.05 },
  { factor: 10, decay: 0 },
] as const;
const RATES = Array.from({ length: 12 }, (_, step) => 0.01 * (1 - step / 12) ** 0.9);
const SETTINGS = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.05 } as const;

function uniform(stream: number, reach: number): Float32Array {
  const values = new Float32Array(SIZE);
  drawsFor(29, 'test', stream).fillUniform(values, -reach, reach);
  return values;
}

test('twelve updates of three groups are those of torch.optim.AdamW', async () => {
  const plans = GROUPS.map((group, k) => ({
    ...group,
    start: uniform(k, 1),
    // Of very different sizes, which Adam evens out.
    gradients: RATES.map((_, step) => uniform(100 * (k + 1) + step, 10 ** (k - 2))),
  }));
  const file = join(folder, 'plan.json');
  const json = plans.map(({ start, gradients, ...group }) => ({
    ...group,
    start: [...start],
    gradients: gradients.map((one) => [...one]),
  }));
  const { betas, epsilon } = SETTINGS;
  writeFileSync(file, JSON.stringify({ parameters: json, rates: RATES, betas, epsilon }));
  const results = join(folder, 'results.json');
  await torchPeer(PEER, file, results);
  const wanted: number[][][] = JSON.parse(readFileSync(results, 'utf8'));
  const parameters = plans.map(({ start }, k) => new Parameter(`p${k}`, start.slice(), [SIZE]));
  const adamW = new AdamW(parameters, SETTINGS, (parameter) => {
    const { factor, decay } = GROUPS[parameters.indexOf(parameter)]!;
    return { rateFactor: factor, isDecayed: decay > 0 };
  });
  for (const [step, rate] of RATES.entries()) {
    scope(() => {
      const gradients = new Map<Parameter, Tensor>();
      for (const [k, parameter] of parameters.entries()) {
        gradients.set(parameter, float32(plans[k]!.gradients[step]!.slice(), [SIZE]));
      }
      adamW.apply(gradients, rate, step);
    });
    for (const [k, parameter] of parameters.entries()) {
      for (const [i, value] of parameter.toFloat32().entries()) {
        const torch = wanted[k]![step]![i]!;
        const off = Math.abs(value - torch);
        assert.ok(off < 1e-6, `step ${step}, group ${k}[${i}]: ${value}, PyTorch's ${torch}`);
      }
    }
  }
  adamW.dispose();
  for (const parameter of parameters) parameter.dispose();
});
