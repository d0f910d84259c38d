import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildTrainer } from '../../services/student/trainer.js';
import { saveState } from '../../services/student/trainerState.js';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, numTensors, ops, scalar, scope } from '../../src/tensor/index.js';
import type { Trainer, TrainingBatch } from '../../src/train/trainer.js';

const CLASSES = 3;
const CHANNELS = 8;
const [N, H, W, h, w] = [2, 32, 48, 4, 6];

function config(...overrides: string[]): StudentConfig {
  const text = `
seed: 5
data: {train: {kind: synthetic, samples: 1, seed: 1}, val: {kind: synthetic, samples: 1, seed: 2}}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {addresses: ['127.0.0.1:1']}
train: {steps: 20, batchSize: 2, learningRate: 0.05}
memory: {pixelMemorySize: 32, regionMemorySize: 8, pixelContrastSize: 12, regionContrastSize: 6}
`;
  return loadConfig(studentSchema, { text, fileName: 'test', overrides });
}

function trainer(...overrides: string[]): { trainer: Trainer; state: () => Map<string, string> } {
  const resolved = config(...overrides);
  const built = buildTrainer({ config: resolved, classes: CLASSES, teacherChannels: CHANNELS });
  const setup = { config: resolved, classNames: ['a', 'b', 'c'] };
  const state = () => {
    const all = new Map<string, string>();
    for (const [file, { tensors }] of Object.entries(saveState(built, setup))) {
      for (const [name, { data }] of tensors) {
        all.set(`${file}: ${name}`, Buffer.from(data).toString('base64'));
      }
    }
    return all;
  };
  return { trainer: built, state };
}

/** A random batch, determined by its number; belongs to the caller's scope. */
function batch(number: number): TrainingBatch {
  const draws = drawsFor(1, 'test', number);
  const numbers = (shape: number[], low: number, high: number) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    draws.fillUniform(values, low, high);
    return float32(values, shape);
  };
  const feature = numbers([N, h, w, CHANNELS], -1, 1);
  const norm = ops.sqrt(ops.sum(ops.square(feature), [3], true));
  return {
    image_NHWC: numbers([N, H, W, 3], -2, 2),
    labels: {
      data: Uint8Array.from({ length: N * H * W }, (_, i) => (i % 7 === 0 ? 255 : i % CLASSES)),
      images: N,
      height: H,
      width: W,
    },
    teacher: {
      logits: numbers([N, h, w, CLASSES], -3, 3),
      embedding: ops.div(feature, norm),
      featureNorm: ops.reshape(norm, [N, h, w]),
      auxNorm: null,
    },
  };
}

test('twenty steps on one batch: every term is present, the total falls, no tensor leaks', () => {
  const { trainer: built } = trainer('train.dropout=false');
  const totals: number[] = [];
  let after = 0;
  for (let step = 0; step < 20; step++) {
    scope(() => {
      const outcome = built.step(step, [batch(0)]);
      assert.equal(outcome.kind, 'committed');
      const names = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
      assert.deepEqual(Object.keys(outcome.terms).sort(), [...names, 'total'].sort());
      totals.push(outcome.terms['total']!);
    });
    if (step === 1) after = numTensors();
  }
  assert.equal(numTensors(), after);
  // Labels and teacher are noise, so training can only memorise this batch.
  const last = totals.slice(-5).reduce((a, b) => a + b) / 5;
  assert.ok(last < totals[0]! - 0.1, totals.join());
});

test('a step is a transaction: one that is not finite changes nothing', () => {
  const { trainer: built, state } = trainer();
  scope(() => assert.equal(built.step(0, [batch(0)]).kind, 'committed'));
  const before = state();
  scope(() => {
    const good = batch(1);
    const teacher = { ...good.teacher!, logits: ops.div(good.teacher!.logits!, scalar(0)) };
    const outcome = built.step(1, [good, { ...good, teacher }]);
    assert.equal(outcome.kind, 'nonfinite');
    assert.ok(Number.isNaN(outcome.terms['logits_kd']));
    assert.ok(Number.isFinite(outcome.terms['task']));
  });
  assert.deepEqual(state(), before);
  // and the run continues as if nothing had happened
  const { trainer: twin, state: twinState } = trainer();
  scope(() => twin.step(0, [batch(0)]));
  scope(() => twin.step(1, [batch(1)]));
  scope(() => built.step(1, [batch(1)]));
  assert.deepEqual(state(), twinState());
});

test('an error before the update changes nothing; one inside it makes the state unusable', () => {
  const { trainer: built, state } = trainer();
  scope(() => built.step(0, [batch(0)]));
  const before = state();
  scope(() => {
    const given = batch(1);
    const labels = { ...given.labels, data: given.labels.data.map((k) => (k === 1 ? 77 : k)) };
    assert.throws(() => built.step(1, [{ ...given, labels }]), /77/);
  });
  assert.deepEqual(state(), before);
  // The last velocity of the update can no longer be written.
  [...built.parts.optimizer.slots().get('')!.values()].at(-1)!.dispose();
  scope(() => assert.throws(() => built.step(1, [batch(1)])));
  assert.throws(state, /failed halfway/);
  scope(() => assert.throws(() => built.step(1, [batch(1)]), /failed halfway/));
});

test('micro-batches: gradients are averaged, each updates running statistics and banks once', () => {
  const { trainer: twice } = trainer('train.dropout=false', 'loss.weights.memory_pixel=0');
  const { trainer: once } = trainer('train.dropout=false', 'loss.weights.memory_pixel=0');
  scope(() => {
    const doubled = twice.step(0, [batch(3), batch(3)]);
    const single = once.step(0, [batch(3)]);
    // The region bank holds one more row per class in the second pass, so its term may differ.
    for (const term of ['task', 'logits_kd', 'minibatch_pixel']) {
      assert.ok(Math.abs(doubled.terms[term]! - single.terms[term]!) < 1e-5, term);
    }
  });
  const counts = (built: Trainer) => {
    const name = 'pretrained.net.features.0.1.num_batches_tracked';
    const { data } = built.parts.network.stateDict().get(name)!;
    return new DataView(data.buffer, data.byteOffset).getBigInt64(0, true);
  };
  assert.equal(counts(twice), 2n);
  assert.equal(counts(once), 1n);
  const fill = ({ parts }: Trainer) => parts.objective.banks.region!.fill(1);
  assert.equal(fill(twice), 2 * N);
  assert.equal(fill(once), N);
});

test('train.recompute changes no bit of a step', () => {
  const networks = [
    ['psp_mobile', 'mobilenetv2', '0.125'],
    ['deeplabv3', 'resnet18', '0.125'],
  ] as const;
  for (const [model, backbone, width] of networks) {
    const results = [false, true].map((recompute) => {
      const { trainer: built, state } = trainer(
        ...[`student.model=${model}`, `student.backbone=${backbone}`],
        ...[`student.widthMultiplier=${width}`, `train.recompute=${recompute}`],
      );
      const terms = [0, 1].map((step) =>
        scope(() => {
          const { terms } = built.step(step, [batch(step), batch(step + 2)]);
          return terms;
        }),
      );
      return { terms, state: state() };
    });
    assert.deepEqual(results[1], results[0], backbone);
  }
});

test('a batch without a labelled pixel: task and memory terms are 0 and the step is made', () => {
  const { trainer: built } = trainer();
  scope(() => {
    const given = batch(0);
    const labels = { ...given.labels, data: new Uint8Array(N * H * W).fill(255) };
    const outcome = built.step(0, [{ ...given, labels }]);
    assert.equal(outcome.kind, 'committed');
    for (const term of ['task', 'memory_pixel', 'memory_region']) {
      assert.equal(outcome.terms[term], 0, term);
    }
    assert.ok(outcome.terms['logits_kd']! > 0);
  });
});

test("the task loss resizes logits as the student's network does", () => {
  const networks = [
    ['deeplabv3', 'resnet18', true],
    ['torchvision_fcn', 'resnet50_plain', false],
    ['mmseg_psp', 'resnet18_v1c', false],
  ] as const;
  for (const [model, backbone, alignCorners] of networks) {
    const names = [`student.model=${model}`, `student.backbone=${backbone}`];
    const { parts } = trainer(...names, 'teacher.addresses=[]').trainer;
    assert.equal(parts.objective.settings.alignCorners, alignCorners, model);
    parts.network.dispose();
    parts.projectionHead?.dispose();
  }
});

test('banks that no checkpoint could hold are refused before training, with their size', () => {
  const build = (precision: string) => () =>
    buildTrainer({
      ...{ config: config('memory.pixelMemorySize=20000', `memory.precision=${precision}`) },
      ...{ classes: 150, teacherChannels: 512 },
    });
  assert.throws(build('fp32'), {
    name: 'ConfigError',
    message:
      /memory\.pixelMemorySize: got 20000 and \d+ rows for each of 150 classes, 512 channels in fp32: \d\.\d GiB, wanted less than 4 GiB/,
  });
  build('fp16')();
});
