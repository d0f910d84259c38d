/**
 * AdamW's groups for a SegFormer beside those that mmengine builds from mmsegmentation's own config, and the schedule
 * beside torch's schedulers, group by group. The updates themselves: adamW.test.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { groupOf } from '../../services/student/optimizer.js';
import { studentSchema } from '../../services/program/studentSchema.js';
import { loadConfig } from '../../src/config/load.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { learningRateAt } from '../../src/train/schedule.js';
import { packagesPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('optimizerGroupsPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-groups-'));
after(() => rmSync(folder, { recursive: true }));

const SCHEDULES = [
  { steps: 30, warmupSteps: 7, polyPower: 1, learningRate: 6e-5 },
  { steps: 12, warmupSteps: 0, polyPower: 0.9, learningRate: 0.02 },
  { steps: 5, warmupSteps: 1, polyPower: 0.9, learningRate: 1 },
] as const;

interface Answer {
  /** Of each parameter: factor on the rate, weight decay. */
  readonly groups: Record<string, readonly [factor: number, decay: number]>;
  /** Of each schedule, of each step: the rates of two groups, the second ten times the first. */
  readonly rates: readonly (readonly (readonly [number, number])[])[];
}

let answer: Answer = { groups: {}, rates: [] };

before(async () => {
  const plan = join(folder, 'plan.json');
  writeFileSync(plan, JSON.stringify(SCHEDULES));
  answer = await packagesPeer<Answer>(PEER, plan);
});

function configOf(model: string, train: object) {
  const scenes = (seed: number) => ({ kind: 'synthetic', samples: 1, seed });
  const text = JSON.stringify({
    data: { train: scenes(1), val: scenes(2), crop: { height: 64, width: 64 } },
    student: { model, backbone: 'mit_b0', widthMultiplier: 1 },
    train: { steps: 10, optimizer: 'adamw', ...train },
  });
  return loadConfig(studentSchema, { text, fileName: 'test' });
}

/** docs/models.md: mmsegmentation's settings as keys of a run. */
const PUBLISHED = { weightDecay: 0.01, undecayed: ['norm'], headRateFactor: 10 };

test('every parameter of mmsegmentation’s SegFormer is in the group of its own config', () => {
  const config = configOf('mmseg_segformer', PUBLISHED);
  const spec = { ...config.student, numClasses: 19 };
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const own = Object.fromEntries(
    network.parameters().map((parameter) => {
      const { rateFactor, isDecayed } = groupOf(config, parameter);
      return [parameter.name, [rateFactor, isDecayed ? config.train.weightDecay : 0]];
    }),
  );
  network.dispose();
  const wanted = Object.fromEntries(
    Object.entries(answer.groups).map(([name, [factor, decay]]) => [
      name,
      [Math.round(factor), decay],
    ]),
  );
  assert.deepEqual(own, wanted);
  const kinds = new Set(Object.values(own).map(String));
  assert.deepEqual([...kinds].sort(), ['1,0', '1,0.01', '10,0.01']);
});

test('warm-up and polynomial decay are those of LinearLR and PolynomialLR, chained, in each group', () => {
  for (const [index, schedule] of SCHEDULES.entries()) {
    for (const [step, rates] of answer.rates[index]!.entries()) {
      for (const [group, factor] of [1, 10].entries()) {
        const own = learningRateAt(schedule, step) * factor;
        const off = Math.abs(own / rates[group]! - 1);
        assert.ok(off < 1e-9, `schedule ${index}, step ${step}: ${own}, torch's ${rates[group]}`);
      }
    }
    assert.equal(answer.rates[index]!.length, schedule.steps);
  }
});
