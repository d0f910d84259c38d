/** skd_holistic in a trainer: what it adds, that a step moves all of it or nothing, and that it resumes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { studentSchema } from '../../services/program/studentSchema.js';
import type { StateFiles } from '../../services/student/computeProtocol.js';
import { buildTrainer } from '../../services/student/trainer.js';
import { loadState, saveState } from '../../services/student/trainerState.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, numTensors, ops, scalar, scope, type Tensor } from '../../src/tensor/index.js';
import { learningRateAt } from '../../src/train/schedule.js';
import type { Trainer, TrainingBatch } from '../../src/train/trainer.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';

const [CLASSES, CHANNELS] = [3, 8];
/** The smallest crops for the discriminator. */
const [N, SIDE, LOGITS] = [2, 505, 64];

const OFF = ['minibatch_pixel', 'memory_pixel', 'memory_region'].map(
  (term) => `loss.weights.${term}=0`,
);

function config(...overrides: string[]) {
  const text = `
seed: 5
data:
  train: {kind: synthetic, samples: 1, seed: 1}
  val: {kind: synthetic, samples: 1, seed: 2}
  crop: {height: ${SIDE}, width: ${SIDE}}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {addresses: ['127.0.0.1:1']}
train: {steps: 20, batchSize: 2, learningRate: 0.05, dropout: false}
loss: {weights: {skd_holistic: 0.001}}
`;
  return loadConfig(studentSchema, {
    ...{ text, fileName: 'test' },
    overrides: [...OFF, ...overrides],
  });
}

class Run {
  readonly trainer: Trainer;
  readonly #config: ReturnType<typeof config>;

  constructor(...overrides: string[]) {
    this.#config = config(...overrides);
    this.trainer = buildTrainer({
      config: this.#config,
      ...{ classes: CLASSES, teacherChannels: CHANNELS },
    });
  }

  files(): StateFiles {
    return saveState(this.trainer, { config: this.#config, classNames: ['a', 'b', 'c'] });
  }

  /** Every byte that a checkpoint would have. */
  bytes(): Map<string, string> {
    const named = Object.entries(this.files()).flatMap(([file, { tensors }]) =>
      [...tensors].map(
        ([name, { data }]) => [`${file}: ${name}`, Buffer.from(data).toString('base64')] as const,
      ),
    );
    return new Map(named);
  }

  step(step: number, ...batches: number[]) {
    return scope(() => this.trainer.step(step, batches.map(batch)));
  }
}

/** A random batch, determined by its number; belongs to the caller's scope. */
function batch(number: number): TrainingBatch {
  const draws = drawsFor(1, 'test', number);
  const numbers = (shape: number[], reach: number) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    draws.fillUniform(values, -reach, reach);
    return float32(values, shape);
  };
  const positions = N * SIDE * SIDE;
  return {
    image_NHWC: numbers([N, SIDE, SIDE, 3], 2),
    labels: {
      data: Uint8Array.from({ length: positions }, (_, i) => (i % 7 === 0 ? 255 : i % CLASSES)),
      ...{ images: N, height: SIDE, width: SIDE },
    },
    teacher: logitsAlone(numbers([N, LOGITS, LOGITS, CLASSES], 3)),
  };
}

const logitsAlone = (logits: Tensor) => {
  return { logits, embedding: null, featureNorm: null, auxNorm: null };
};

const changed = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) =>
  [...after].flatMap(([name, value]) => (before.get(name) === value ? [] : [name]));

const ofDiscriminator = (names: readonly string[]) =>
  names.filter((name) => /^discriminator: |^optimizer: (mean|square)\.discriminator/.test(name));

describe('a step with skd_holistic', () => {
  it("has the student's loss in the total, the discriminator's beside it, and moves its whole state", () => {
    const run = new Run();
    const before = run.bytes();
    const outcome = run.step(0, 1);
    assert.equal(outcome.kind, 'committed');
    const { task, logits_kd, skd_holistic, skd_discriminator, total } = outcome.terms;
    assert.deepEqual(Object.keys(outcome.terms), [
      'task',
      'logits_kd',
      'skd_holistic',
      'skd_discriminator',
      'total',
    ]);
    const sum = task! + logits_kd! + 0.001 * skd_holistic!;
    assert.ok(Math.abs(total! - sum) < 1e-12, `${total}, ${sum}`);
    assert.ok(skd_discriminator! > 1 && skd_discriminator! < 3, `${skd_discriminator}`);
    const all = ofDiscriminator([...before.keys()]);
    assert.equal(all.length, 26 + 6 + 2 * 26);
    const first = changed(before, run.bytes());
    // gamma is 0 at first, so queries, keys and values have no gradient yet; and within the hinge the
    // teacher's and the student's scores cancel in the last bias.
    const still = /(attn[12]\.(query|key|value)_conv\.(weight|bias)|last\.0\.bias)$/;
    assert.deepEqual(
      all.filter((name) => !first.includes(name) && !still.test(name)),
      [],
    );
    // Nor does the softmax see the keys' biases: theirs is rounding at most.
    const weak = /(attn[12]\.key_conv|last\.0)\.bias$/;
    run.step(1, 2);
    const later = changed(before, run.bytes());
    assert.deepEqual(
      all.filter((name) => !later.includes(name) && !weak.test(name)),
      [],
    );
  });

  it('that is not finite, or fails, changes nothing of it', () => {
    const run = new Run();
    run.step(0, 1);
    const before = run.bytes();
    const bad = (factor: number) => {
      const given = batch(3);
      return { ...given, teacher: { ...given.teacher!, logits: timesAll(given, factor) } };
    };
    // Seen by the discriminator alone, in the second of two forward passes.
    const alone = new Run('loss.weights.logits_kd=0');
    alone.step(0, 1);
    const untouched = alone.bytes();
    scope(() => {
      const outcome = alone.trainer.step(1, [batch(2), bad(1e30)]);
      assert.equal(outcome.kind, 'nonfinite');
      assert.ok(Number.isFinite(outcome.terms['skd_holistic']), 'the student');
    });
    assert.deepEqual(alone.bytes(), untouched);
    scope(() => {
      assert.equal(run.trainer.step(1, [batch(2), bad(Number.NaN)]).kind, 'nonfinite');
    });
    assert.deepEqual(run.bytes(), before);
    scope(() => {
      const given = batch(3);
      const small = float32(new Float32Array(N * 63 * 64 * CLASSES), [N, 63, 64, CLASSES]);
      const teacher = logitsAlone(small);
      assert.throws(() => run.trainer.step(1, [batch(2), { ...given, teacher }]), RangeError);
    });
    assert.deepEqual(run.bytes(), before);
    // and the run continues as if nothing had happened
    const twin = new Run();
    twin.step(0, 1);
    twin.step(1, 2);
    run.step(1, 2);
    assert.deepEqual(run.bytes(), twin.bytes());
  });

  it('that fails between the two updates makes the state unusable', () => {
    const run = new Run();
    const { optimizer } = run.trainer.parts.adversary!.parts;
    [...optimizer.slots().get('square.')!.values()].at(-1)!.dispose();
    scope(() => assert.throws(() => run.trainer.step(0, [batch(1)])));
    assert.throws(() => run.files(), /failed halfway/);
  });

  it('leaves no tensor behind', () => {
    const run = new Run('loss.discriminator.kind=wgan-gp');
    run.step(0, 1, 2);
    const alive = numTensors();
    run.step(1, 3, 4);
    assert.equal(numTensors(), alive);
  });
});

function timesAll({ teacher }: TrainingBatch, factor: number) {
  return ops.mul(teacher!.logits!, scalar(factor));
}

describe('a resumed run', () => {
  for (const kind of ['hinge', 'wgan-gp']) {
    it(`goes on byte for byte, ${kind}, with AdamW and micro-batches`, () => {
      const settings = [
        ...[`loss.discriminator.kind=${kind}`, 'loss.discriminator.polyPower=0.9'],
        ...['train.optimizer=adamw', 'train.learningRate=0.001'],
      ];
      const whole = new Run(...settings);
      whole.step(0, 1);
      const saved = whole.files();
      whole.step(1, 3, 4);
      const resumed = new Run(...settings, 'seed=6');
      loadState(resumed.trainer, saved);
      // Another seed draws other shares of the penalty; what was drawn at the start is loaded.
      resumed.step(1, 3, 4);
      const same = new Run(...settings);
      loadState(same.trainer, saved);
      same.step(1, 3, 4);
      assert.deepEqual(same.bytes(), whole.bytes());
      const isSame = changed(whole.bytes(), resumed.bytes()).length === 0;
      assert.equal(isSame, kind === 'hinge');
    });
  }

  it('is refused without its discriminator, or with one of other classes', () => {
    const saved = new Run().files();
    const { discriminator, ...without } = saved;
    const refused = (files: StateFiles, message: RegExp) =>
      assert.throws(
        () => loadState(new Run().trainer, files),
        (error) => error instanceof CheckpointError && message.test(error.message),
      );
    refused(without, /^discriminator\.safetensors: not in the checkpoint$/);
    const name = 'discriminator.l1.0.weight';
    const tensors = new Map(discriminator!.tensors);
    const given = tensors.get(name)!;
    tensors.set(name, { ...given, shape: [64, 4, 4, 3] });
    const file = { ...discriminator!, tensors };
    refused(
      { ...saved, discriminator: file },
      /^weights: wrong shape: discriminator\.l1\.0\.weight \[64,4,4,3\], wanted \[64,3,4,4\]$/,
    );
    const optimizer = new Map(saved['optimizer']!.tensors);
    optimizer.delete(`square.${name}`);
    refused(
      { ...saved, optimizer: { ...saved['optimizer']!, tensors: optimizer } },
      /^optimizer: square\.discriminator\.l1\.0\.weight is missing$/,
    );
  });
});

describe('the config', () => {
  const faults = (...overrides: string[]) => {
    try {
      config(...overrides);
      return [];
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${error}`);
      return error.faults.map(({ key, message }) => `${key}: ${message}`);
    }
  };

  it('is refused with a crop that is too small for the discriminator', () => {
    const message = 'the discriminator of skd_holistic needs logits of 64 x 64';
    assert.deepEqual(faults('data.crop.height=504'), [
      `data.crop.height: got 504, wanted at least 505: ${message}`,
    ]);
    assert.deepEqual(faults('data.crop.height=504', 'loss.weights.skd_holistic=0'), []);
    assert.deepEqual(faults('data.crop.height=504', 'teacher.addresses=[]'), []);
    const segformer = [
      'student.model=segformer',
      'student.backbone=mit_b0',
      'student.widthMultiplier=1',
    ];
    assert.deepEqual(faults(...segformer, 'data.crop.width=253'), []);
    assert.deepEqual(faults(...segformer, 'data.crop.width=252'), [
      `data.crop.width: got 252, wanted at least 253: ${message}`,
    ]);
  });

  it('has the official settings', () => {
    const { adversary } = new Run().trainer.parts;
    const { weight, schedule, objective } = adversary!.parts;
    assert.equal(weight, 0.1);
    assert.deepEqual(
      [0, 7, 19].map((step) => learningRateAt(schedule, step)),
      [4e-4, 4e-4, 4e-4],
    );
    assert.deepEqual(objective({ step: 3, microBatch: 0, images: 2 }), { kind: 'hinge' });
  });

  it('without the term or without a teacher has no adversary; a teacher without a feature will do', () => {
    const trainerOf = (teacherChannels: number | null, ...overrides: string[]) =>
      buildTrainer({ config: config(...overrides), classes: CLASSES, teacherChannels });
    assert.equal(trainerOf(CHANNELS, 'loss.weights.skd_holistic=0').parts.adversary, null);
    assert.equal(trainerOf(null).parts.adversary, null);
    assert.ok(trainerOf(0).parts.adversary !== null);
  });

  it("draws a penalty's shares from seed, step and micro-batch alone", () => {
    const { objective } = new Run('loss.discriminator.kind=wgan-gp').trainer.parts.adversary!.parts;
    const shares = (step: number, microBatch: number) => {
      const drawn = objective({ step, microBatch, images: 3 });
      assert.ok(drawn.kind === 'wgan-gp' && drawn.penalty === 10);
      assert.ok(drawn.shares_N.every((share) => share >= 0 && share < 1));
      return drawn.shares_N.join();
    };
    const all = [shares(0, 0), shares(0, 1), shares(1, 0)];
    assert.equal(new Set(all).size, 3);
    assert.deepEqual([shares(0, 0), shares(0, 1), shares(1, 0)], all);
  });
});

describe('the discriminator of a new run', () => {
  it("begins with PyTorch's defaults and unit vectors, drawn from the seed", () => {
    const tensors = (seed: number) => new Run(`seed=${seed}`).files()['discriminator']!.tensors;
    const first = tensors(5);
    const values = (name: string) => {
      const { data } = first.get(`discriminator.${name}`)!;
      return new Float32Array(data.slice().buffer);
    };
    for (const [layer, fanIn] of [
      ['l1.0', CLASSES * 16],
      ['l4.0', 256 * 16],
      ['attn1.value_conv', 256],
    ] as const) {
      for (const part of ['weight', 'bias']) {
        const bound = 1 / Math.sqrt(fanIn);
        const largest = values(`${layer}.${part}`).reduce(
          (most, x) => Math.max(most, Math.abs(x)),
          0,
        );
        assert.ok(
          largest <= bound && largest > 0.9 * bound,
          `${layer}.${part}: ${largest}, ${bound}`,
        );
      }
    }
    assert.deepEqual(values('attn1.gamma'), new Float32Array(1));
    assert.deepEqual(values('preprocess_additional.weight'), new Float32Array(CLASSES).fill(1));
    assert.ok(Math.abs(Math.hypot(...values('l3.0.weight_u')) - 1) < 1e-6);
    const [same, other] = [tensors(5), tensors(6)];
    const name = 'discriminator.l2.0.weight';
    assert.deepEqual(first.get(name), same.get(name));
    assert.notDeepEqual(first.get(name), other.get(name));
  });
});
