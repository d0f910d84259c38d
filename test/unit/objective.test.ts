import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { singleProcess } from '../../src/collectives/single.js';
import { REPLY_FIELDS } from '../../src/contract/teacher.js';
import { CIRKD_TERMS, TERM_OUTPUTS, termWeights } from '../../src/contract/terms.js';
import type { TeacherOutputs } from '../../src/distill/networkOutputs.js';
import { Objective } from '../../src/distill/objective.js';
import type { ObjectiveInput } from '../../src/distill/objectiveInput.js';
import type { Ranks } from '../../src/distill/ranks.js';
import { type ObjectiveSettings, rowsPerClass } from '../../src/distill/settings.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { unitRows } from '../../src/losses/normalize.js';
import { drawnChoices } from '../../src/memory/choices.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { drawsFor } from '../../src/random/draws.js';
import {
  float32,
  numTensors,
  ops,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

/** 2 images, 2 x 3 positions, 3 classes, 4 student and 5 teacher channels; labels 4 x 6. */
const [N, H, W, CLASSES, STUDENT, TEACHER] = [2, 2, 3, 3, 4, 5];
const P = N * H * W;

const SETTINGS: ObjectiveSettings = {
  classes: CLASSES,
  teacherChannels: TEACHER,
  weights: termWeights({
    ...{ task: 1, logits_kd: 2, minibatch_pixel: 0.5, memory_pixel: 0.25, memory_region: 3 },
  }),
  auxWeight: 0.4,
  alignCorners: true,
  kdTemperature: 1,
  ...{ cwdTemperature: 4, dsdTemperature: 4 },
  ...{ channelContrastRows: 2048, channelUpdateFreq: 256 },
  contrastTemperature: 0.5,
  contrastKdTemperature: 1,
  minibatchGroup: 0,
  minibatchPooling: 'auto',
  tiling: { lossMemoryMiB: 16 },
  pixelContrastRows: 4,
  regionContrastRows: 2,
  pixelUpdateFreq: 3,
  memoryStartStep: 0,
  pixelEnqueue: 'class',
  allIgnored: 'zero',
};

const LABELS: LabelMaps = {
  data: Uint8Array.from({ length: N * 4 * 6 }, (_, i) => (i % 5 === 4 ? 255 : i % CLASSES)),
  images: N,
  height: 4,
  width: 6,
};
const IGNORED = { ...LABELS, data: new Uint8Array(LABELS.data.length).fill(255) };

const uniform = (length: number, stream: number) => {
  const values = new Float32Array(length);
  drawsFor(11, 'test', stream).fillUniform(values, -1, 1);
  return values;
};
const INPUTS = {
  logits: uniform(P * CLASSES, 1),
  aux: uniform(P * CLASSES, 2),
  feature: uniform(P * STUDENT, 3),
  teacherLogits: uniform(P * CLASSES, 4),
  teacherFeature: uniform(P * TEACHER, 5),
  head: uniform(STUDENT * TEACHER, 6),
};

function makeObjective(changed: Partial<ObjectiveSettings> = {}, ranks?: Ranks): Objective {
  const bank = {
    classes: CLASSES,
    channels: TEACHER,
    precision: 'fp32',
    ringWrap: 'ring',
    sampling: 'filled',
  } as const;
  return new Objective(
    { ...SETTINGS, ...changed },
    {
      pixel: new PixelMemoryBank({ ...bank, size: 6 }),
      region: new RegionMemoryBank({ ...bank, size: 3 }),
    },
    ranks,
  );
}

/** A linear projection head with fixed weights, on the tape. */
function project(tape: Tape) {
  return (x: Var): Var => {
    const weights = float32(INPUTS.head.slice(), [STUDENT, TEACHER]);
    const rows = ops.reshape(x.value, [P, STUDENT]);
    const y = ops.reshape(ops.matMul(rows, weights), [N, H, W, TEACHER]);
    return tape.record(y, [x], [weights], (dy) => {
      const dy_PD = ops.reshape(dy, [P, TEACHER]);
      return [ops.reshape(ops.matMul(dy_PD, weights, { transposeB: true }), x.shape)];
    });
  };
}

function teacherOutputs() {
  const map = (values: Float32Array, channels: number) =>
    float32(values.slice(), [N, H, W, channels]);
  const { embedding_PC, norm_P1 } = unitRows(float32(INPUTS.teacherFeature.slice(), [P, TEACHER]));
  return {
    logits: map(INPUTS.teacherLogits, CLASSES),
    embedding: ops.reshape(embedding_PC, [N, H, W, TEACHER]),
    featureNorm: ops.reshape(norm_P1, [N, H, W]),
    auxNorm: null,
  };
}

const OUTPUTS = ['logits', 'embedding', 'featureNorm', 'auxNorm'] as const;

function nulls(names: readonly string[] = []) {
  return Object.fromEntries(names.map((name) => [name, null]));
}

interface Changed {
  readonly values?: Partial<typeof INPUTS>;
  readonly labels?: LabelMaps;
  readonly step?: number;
  readonly withTeacher?: boolean;
  /** Outputs that the teacher doesn't give. */
  readonly lacking?: readonly (keyof TeacherOutputs)[];
  readonly aux?: boolean;
}

/** Terms, and the gradients of logits, aux and feature after the tape's backward pass. */
function evaluate(objective: Objective, changed: Changed = {}) {
  return scope(() => {
    const values = { ...INPUTS, ...changed.values };
    const tape = new Tape(true);
    const leaf = (x: Float32Array) => tape.leaf(float32(x.slice(), [N, H, W, x.length / P]));
    const [logits, aux, feature] = [leaf(values.logits), leaf(values.aux), leaf(values.feature)];
    const input: ObjectiveInput = {
      student: { logits, aux: changed.aux === false ? null : aux, feature },
      labels: changed.labels ?? LABELS,
      teacher:
        changed.withTeacher === false ? null : { ...teacherOutputs(), ...nulls(changed.lacking) },
      project: project(tape),
      draws: drawnChoices(1, changed.step ?? 0, 0),
      step: changed.step ?? 0,
    };
    const { terms, seeds } = objective.evaluate(input);
    const { leaves } = tape.backward(seeds);
    const host = (x: Var) => {
      const gradient: Tensor | undefined = leaves.get(x);
      return gradient === undefined ? null : readFloat32(gradient);
    };
    return { terms, logits: host(logits), aux: host(aux), feature: host(feature) };
  });
}

describe('Objective', () => {
  it('gives the gradient of the weighted total for every student output', () => {
    const objective = makeObjective();
    const { terms, ...gradients } = evaluate(objective);
    objective.discard();
    const wanted =
      terms.task! +
      2 * terms.logits_kd! +
      0.5 * terms.minibatch_pixel! +
      0.25 * terms.memory_pixel! +
      3 * terms.memory_region!;
    assert.ok(Math.abs(terms.total - wanted) < 1e-12, `${terms.total}, wanted ${wanted}`);
    for (const output of ['logits', 'aux', 'feature'] as const) {
      const lossAt = (x: Float32Array) => {
        const { total } = evaluate(objective, { values: { [output]: x } }).terms;
        objective.discard();
        return total;
      };
      assertLossGradient(lossAt, INPUTS[output], gradients[output]!, { tolerance: 4e-3 });
    }
  });

  it('computes neither terms without a weight nor teacher terms without a teacher', () => {
    const weights = { ...SETTINGS.weights, minibatch_pixel: 0, memory_pixel: 0 };
    const objective = makeObjective({ weights });
    assert.deepEqual(Object.keys(evaluate(objective).terms), [
      'task',
      'logits_kd',
      'memory_region',
      'total',
    ]);
    assert.equal(objective.banks.pixel!.fillRatio, 0);
    const alone = evaluate(objective, { withTeacher: false });
    assert.deepEqual(Object.keys(alone.terms), ['task', 'total']);
    assert.equal(alone.feature, null);
  });

  it('adds the auxiliary part to task', () => {
    const objective = makeObjective();
    const both = evaluate(objective, { withTeacher: false }).terms.task!;
    const main = evaluate(objective, { withTeacher: false, aux: false }).terms.task!;
    const swapped = evaluate(objective, {
      withTeacher: false,
      aux: false,
      values: { logits: INPUTS.aux },
    }).terms.task!;
    assert.ok(
      Math.abs(both - main - 0.4 * swapped) < 1e-12,
      `${both - main}, wanted ${0.4 * swapped}`,
    );
  });

  it('enqueues per image and class, and keeps only committed rows', () => {
    const objective = makeObjective();
    const { pixel, region } = objective.banks;
    const first = evaluate(objective).terms;
    assert.ok(pixel!.fillRatio > 0 && region!.fillRatio > 0, 'a bank is empty');
    // Each class occurs in both images.
    assert.deepEqual(
      [0, 1, 2].map((c) => region!.fill(c)),
      [2, 2, 2],
    );
    objective.discard();
    assert.deepEqual([pixel!.fillRatio, region!.fillRatio], [0, 0]);
    assert.deepEqual(evaluate(objective).terms, first);
    objective.commit();
    objective.discard();
    assert.ok(region!.fillRatio > 0, String(region!.fillRatio));
  });

  for (const term of CIRKD_TERMS) {
    const needed: readonly string[] = TERM_OUTPUTS[term].map((output) => REPLY_FIELDS[output]);
    it(`${term}: computed from ${needed.join(', ')}, and from nothing less`, () => {
      const evaluated = (lacking: readonly (keyof TeacherOutputs)[]) =>
        evaluate(makeObjective({ weights: termWeights({ [term]: 1 }) }), { lacking });
      const others = OUTPUTS.filter((output) => !needed.includes(output));
      assert.deepEqual(evaluated(others), evaluated([]));
      for (const output of OUTPUTS.filter((one) => needed.includes(one))) {
        const message = `${output}: null, and terms that need it have a weight`;
        assert.throws(() => evaluated([output]), { message });
      }
    });
  }

  it('stores the mean embedding of a class and embeddings of its own pixels', () => {
    const objective = makeObjective();
    const low = Uint8Array.from([0, 0, 1, 1, 255, 0, 0, 1, 1, 255, 255, 255]);
    evaluate(objective, { labels: { data: low, images: N, height: H, width: W } });
    const embedding = scope(() => readFloat32(teacherOutputs().embedding));
    const row = (p: number) => [...embedding.subarray(p * TEACHER, (p + 1) * TEACHER)];
    const all = { enqueue: () => new Int32Array(0), ...inOrder };
    const regions = objective.banks.region!.sample(3, all).data.subarray(0, TEACHER);
    const sum = [0, 1, 5].map(row).reduce((a, b) => a.map((value, i) => value + b[i]!));
    const norm = Math.hypot(...sum);
    for (const [i, value] of sum.entries()) {
      assert.ok(
        Math.abs(value / norm - regions[i]!) < 1e-6,
        `${value / norm}, wanted ${regions[i]!}`,
      );
    }
    const pixels = objective.banks.pixel!.sample(6, all);
    const stored = Array.from({ length: pixels.count }, (_, i) =>
      nearestRow(row, [...pixels.data.subarray(i * TEACHER, (i + 1) * TEACHER)]),
    );
    // Class 0: three of image 0, one of image 1; class 1: two of each.
    assert.deepEqual(
      stored.slice(0, 4).sort((a, b) => a - b),
      [0, 1, 5, 6],
    );
    assert.deepEqual(
      stored.slice(4).sort((a, b) => a - b),
      [2, 3, 7, 8],
    );
  });

  it('gives 0 for task and memory terms without a label, or NaN with allIgnored: nan', () => {
    const objective = makeObjective();
    const { terms, logits, feature } = evaluate(objective, { labels: IGNORED });
    assert.deepEqual([terms.task, terms.memory_pixel, terms.memory_region], [0, 0, 0]);
    assert.ok(terms.logits_kd! > 0 && terms.minibatch_pixel! > 0, JSON.stringify(terms));
    assert.ok([...logits!, ...feature!].every(Number.isFinite), 'a gradient is not finite');
    assert.deepEqual([objective.banks.pixel!.fillRatio, objective.banks.region!.fillRatio], [0, 0]);
    const nan = evaluate(makeObjective({ allIgnored: 'nan' }), { labels: IGNORED });
    assert.ok(
      Number.isNaN(nan.terms.task) && Number.isNaN(nan.terms.memory_pixel),
      JSON.stringify(nan.terms),
    );
    assert.ok([...nan.logits!, ...nan.feature!].every(Number.isFinite), 'a gradient is not finite');
  });

  it('gives a rank without a label 0 where another has labels and the mean is over the batch', () => {
    /** Of two ranks, the other one with this label everywhere and so many labelled elements. */
    const withOther = (label: number, labelled: number): Ranks => ({
      ...{ labelledMean: 'batch', minibatch: 'rank' },
      group: {
        ...{ ...singleProcess, size: 2 },
        allGatherBytes: (own) => {
          if (own.length === P) return [own, new Uint8Array(P).fill(label)];
          return [own, new Uint8Array(new Float64Array(own.length / 8).fill(labelled).buffer)];
        },
      },
    });
    const termsOf = (ranks: Ranks) =>
      evaluate(makeObjective({ allIgnored: 'nan' }, ranks), { labels: IGNORED }).terms;
    const { task, memory_pixel, memory_region } = termsOf(withOther(1, P));
    assert.deepEqual([task, memory_pixel, memory_region], [0, 0, 0]);
    const none = termsOf(withOther(255, 0));
    assert.deepEqual([none.task, none.memory_pixel, none.memory_region], Array(3).fill(Number.NaN));
  });

  it('runs the head without a label, so that it has a gradient', () => {
    const weights = { ...SETTINGS.weights, minibatch_pixel: 0 };
    const { feature } = evaluate(makeObjective({ weights }), { labels: IGNORED });
    assert.deepEqual([...feature!], [...new Float32Array(P * STUDENT)]);
  });

  it('only fills the banks before the start step', () => {
    const objective = makeObjective({ memoryStartStep: 2 });
    const before = evaluate(objective, { step: 1 }).terms;
    assert.deepEqual([before.memory_pixel, before.memory_region], [0, 0]);
    assert.ok(objective.banks.pixel!.fillRatio > 0, String(objective.banks.pixel!.fillRatio));
    assert.ok(evaluate(objective, { step: 2 }).terms.memory_pixel! > 0, 'no memory term in step 2');
  });

  it('handles one class, one labelled pixel and one stored row', () => {
    for (const labelled of [LABELS.data.length, 1]) {
      const data = new Uint8Array(LABELS.data.length).fill(255);
      data.fill(1, 0, labelled);
      const { terms, feature } = evaluate(makeObjective(), { labels: { ...LABELS, data } });
      assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
      assert.ok(feature!.every(Number.isFinite), 'the gradient of the feature is not finite');
    }
  });

  it('becomes NaN with NaN features, and discard restores the banks', () => {
    const objective = makeObjective();
    const broken = INPUTS.feature.slice().fill(Number.NaN, 0, 1);
    const { terms } = evaluate(objective, { values: { feature: broken } });
    objective.discard();
    assert.ok(
      Number.isNaN(terms.minibatch_pixel) && Number.isNaN(terms.total),
      JSON.stringify(terms),
    );
    assert.equal(objective.banks.pixel!.fillRatio, 0);
  });

  it("refuses a memory weight without its bank, and labels that aren't classes", () => {
    assert.throws(
      () => new Objective(SETTINGS, { pixel: null, region: null }),
      /weights.memory_pixel/,
    );
    const data = LABELS.data.slice().fill(7, 3, 4);
    assert.throws(() => evaluate(makeObjective(), { labels: { ...LABELS, data } }), /labels: 7/);
  });

  it('leaves no tensor behind', () => {
    const objective = makeObjective();
    evaluate(objective);
    const before = numTensors();
    for (let step = 0; step < 10; step++) {
      evaluate(objective, { step });
      objective.commit();
    }
    evaluate(objective, { labels: IGNORED });
    assert.equal(numTensors(), before);
  });
});

describe('rowsPerClass', () => {
  it('counts like the official trainers', () => {
    assert.deepEqual([rowsPerClass(4096, 19), rowsPerClass(1024, 19)], [216, 54]);
  });
});

const first = (_class: number, _n: number, take: number) =>
  Int32Array.from({ length: take }, (_, i) => i);
const inOrder = { samplePixels: first, sampleRegions: first };

/** The position whose embedding is nearest to a stored row. */
function nearestRow(row: (p: number) => number[], stored: number[]): number {
  const distances = Array.from({ length: P }, (_, p) =>
    Math.hypot(...row(p).map((value, i) => value - stored[i]!)),
  );
  const nearest = distances.indexOf(Math.min(...distances));
  assert.ok(distances[nearest]! < 1e-6, String(distances[nearest]));
  return nearest;
}
