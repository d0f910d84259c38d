/**
 * The objective on 2 and 4 ranks with everything global, beside one process with the whole batch: values, gradients,
 * running statistics and banks on random inputs, with labels that are spread unevenly over the ranks. In lockstep, so what
 * the ranks gather is exact.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fillBanks } from '../../services/cli/bench/inputs.js';
import type { Collective } from '../../src/collectives/collective.js';
import { singleProcess } from '../../src/collectives/single.js';
import { termWeights, WEIGHTED_TERMS } from '../../src/contract/terms.js';
import { Objective } from '../../src/distill/objective.js';
import type { RankSettings } from '../../src/distill/ranks.js';
import type { ObjectiveSettings } from '../../src/distill/settings.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { unitRows } from '../../src/losses/normalize.js';
import { ChannelMemoryBank, drawnChannelChoices } from '../../src/memory/channelMemoryBank.js';
import { drawnChoices } from '../../src/memory/choices.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { StagedBuffers } from '../../src/models/buffers.js';
import type { BatchShare, ForwardContext } from '../../src/models/context.js';
import { initialWeights } from '../../src/models/initialise.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import { TermConvolutions } from '../../src/models/termConvolutions.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, ops, readFloat32, scope, Tape, type Tensor } from '../../src/tensor/index.js';
import { channelInput } from '../../src/train/channelInput.js';
import { inLockstep } from '../support/collectives/lockstep.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

/** 4 images, 8 x 8 positions (2 x 2 pooled), 3 classes, 4 student and 6 teacher channels; labels 16 x 16. */
const [N, H, W, CLASSES, STUDENT, TEACHER] = [4, 8, 8, 3, 4, 6];
const LABEL_SIDE = 16;
/** Of an output's largest number. */
const BOUND = 1e-5;
/** More than one run of the objective and the heads makes. */
const EXCHANGES = 40;

/** skd_holistic needs larger maps: test/unit/adversaryRanks.test.ts. */
const TERMS = WEIGHTED_TERMS.filter((term) => term !== 'skd_holistic');

const SETTINGS: ObjectiveSettings = {
  classes: CLASSES,
  teacherChannels: TEACHER,
  weights: termWeights(Object.fromEntries(TERMS.map((term, i) => [term, 0.5 + i / 10]))),
  auxWeight: 0.4,
  alignCorners: true,
  classWeights: [0.3, 2, 1.1],
  kdTemperature: 2,
  ...{ cwdTemperature: 4, dsdTemperature: 4 },
  ...{ channelContrastRows: 6, channelUpdateFreq: 5 },
  ...{ contrastTemperature: 0.5, contrastKdTemperature: 1 },
  ...{ minibatchGroup: 0, minibatchPooling: 'auto' },
  tiling: { lossMemoryMiB: 16 },
  ...{ pixelContrastRows: 5, regionContrastRows: 3, pixelUpdateFreq: 3 },
  ...{ memoryStartStep: 0, pixelEnqueue: 'class', allIgnored: 'nan' },
};

const GLOBAL: RankSettings & Pick<BatchShare, 'norms'> = {
  ...{ labelledMean: 'batch', minibatch: 'batch', norms: 'synchronised' },
};

/** Which share of each image's labels is ignored. */
const SPREADS = {
  'half of the ranks have no label': [0.1, 0.8, 1, 1],
  'the first rank has none': [1, 1, 0.97, 0.2],
  'one rank of four has none, the others few or many': [0, 1, 0.99, 0.6],
} as const;

function labelsOf(ignored: readonly number[]): LabelMaps {
  const pixels = LABEL_SIDE ** 2;
  const draws = new Float32Array(2 * N * pixels);
  drawsFor(3, 'test', 100).fillUniform(draws, 0, 1);
  const data = Uint8Array.from({ length: N * pixels }, (_, i) =>
    draws[2 * i]! < ignored[Math.floor(i / pixels)]!
      ? 255
      : Math.floor(draws[2 * i + 1]! * CLASSES),
  );
  return { data, images: N, height: LABEL_SIDE, width: LABEL_SIDE };
}

const numbers = (stream: number, channels: number) => {
  const values = new Float32Array(N * H * W * channels);
  drawsFor(11, 'test', stream).fillNormal(values, 0, 1);
  return values;
};
const INPUTS = {
  logits: numbers(1, CLASSES),
  aux: numbers(2, CLASSES),
  feature: numbers(3, STUDENT),
  teacherLogits: numbers(4, CLASSES),
  teacherFeature: numbers(5, TEACHER),
  teacherAux: numbers(6, 1).map((value) => value ** 2 + 0.1),
};

const weights = initialWeights(7);
const head = ProjectionHead.create(STUDENT, TEACHER, weights);
const channelHead = ProjectionHead.create(STUDENT, TEACHER, weights, 'channel_project_head');
const convolutions = new TermConvolutions(['fitnet', 'cwd_feature'], STUDENT, TEACHER, weights);
const parts = [head, channelHead, convolutions];
after(() => {
  for (const part of parts) part.dispose();
});

function newObjective(group: Collective, ranks: RankSettings): Objective {
  const bank = {
    classes: CLASSES,
    channels: TEACHER,
    precision: 'fp32',
    ringWrap: 'ring',
    sampling: 'filled',
  } as const;
  const banks = {
    pixel: new PixelMemoryBank({ ...bank, size: 7 }),
    region: new RegionMemoryBank({ ...bank, size: 5 }),
    channel: new ChannelMemoryBank({ ...bank, size: 9, positions: 4 }),
  };
  const objective = new Objective(SETTINGS, banks, { group, ...ranks });
  fillBanks(objective);
  return objective;
}

interface Evaluated {
  readonly terms: Readonly<Record<string, number>>;
  /** Of this rank's images. */
  readonly perImage: ReadonlyMap<string, Float32Array>;
  readonly perParameter: ReadonlyMap<string, Float32Array>;
  readonly statistics: ReadonlyMap<string, Float32Array>;
  readonly banks: readonly string[];
}

/** One pass and the way back, on this rank's images. */
function evaluate(
  labels: LabelMaps,
  group: Collective,
  { norms, ...ranks }: typeof GLOBAL = GLOBAL,
  inputs = INPUTS,
): Evaluated {
  const images = N / group.size;
  const first = group.rank * images;
  const own = (values: Float32Array, channels: number) => {
    const size = H * W * channels;
    return float32(values.slice(first * size, (first + images) * size), [images, H, W, channels]);
  };
  const pixels = LABEL_SIDE ** 2;
  const tape = new Tape(true);
  const staged = new StagedBuffers();
  const share = { rank: group.rank, ranks: group, norms };
  const context: ForwardContext = {
    ...{ tape, training: true, dropoutSeed: null, staged },
    ...(group.size === 1 ? {} : { share }),
  };
  const logits = tape.leaf(own(inputs.logits, CLASSES));
  const aux = tape.leaf(own(inputs.aux, CLASSES));
  const feature = tape.leaf(own(inputs.feature, STUDENT));
  const objective = newObjective(group, ranks);
  const choices = (step: number) => drawnChannelChoices(1, step, 0);
  const { terms, seeds } = objective.evaluate({
    student: { logits, aux, feature },
    labels: {
      ...labels,
      images,
      data: labels.data.slice(first * pixels, (first + images) * pixels),
    },
    teacher: teacherOf(own),
    project: (x) => head.forward(context, x),
    channel: channelInput({ head: channelHead, choices }, context, 0, 0),
    convolution: (term) => convolutions.weights(tape, term),
    ...{ draws: drawnChoices(1, 0, 0), step: 0 },
  });
  objective.commit();
  const { leaves, parameters } = tape.backward(seeds);
  const read = (tensor: Tensor) => readFloat32(tensor).slice();
  const results = {
    terms: terms as Readonly<Record<string, number>>,
    perImage: new Map(
      Object.entries({ logits, aux, feature }).map(([name, x]) => [name, read(leaves.get(x)!)]),
    ),
    perParameter: new Map([...parameters].map(([{ name }, gradient]) => [name, read(gradient)])),
    statistics: new Map([...staged.values].map(([{ name }, value]) => [name, read(value)])),
    banks: Object.values(objective.banks).flatMap((bank) =>
      [...bank!.exportState().values()].map(({ data }) => Buffer.from(data).toString('base64')),
    ),
  };
  staged.discard();
  return results;
}

function teacherOf(own: (values: Float32Array, channels: number) => Tensor) {
  const feature = own(INPUTS.teacherFeature, TEACHER);
  const [images = 0] = feature.shape;
  const { embedding_PC, norm_P1 } = unitRows(ops.reshape(feature, [images * H * W, TEACHER]));
  return {
    logits: own(INPUTS.teacherLogits, CLASSES),
    embedding: ops.reshape(embedding_PC, [images, H, W, TEACHER]),
    featureNorm: ops.reshape(norm_P1, [images, H, W]),
    auxNorm: ops.reshape(own(INPUTS.teacherAux, 1), [images, H, W]),
  };
}

const onRanks = (size: number, labels: LabelMaps, settings = GLOBAL) =>
  inLockstep(size, EXCHANGES, (_, group) => evaluate(labels, group, settings));

const alone = (labels: LabelMaps, inputs = INPUTS) =>
  scope(() => evaluate(labels, singleProcess, GLOBAL, inputs));

/** The ranks' results as the trainer joins them: means over the ranks. */
function joined(ranks: readonly Evaluated[]): Map<string, Float32Array> {
  const [first] = ranks;
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / ranks.length;
  const all = new Map<string, Float32Array>();
  for (const term of Object.keys(first!.terms)) {
    all.set(`term ${term}`, Float32Array.of(mean(ranks.map(({ terms }) => terms[term]!))));
  }
  for (const name of first!.perImage.keys()) {
    const ofImages = ranks.flatMap(({ perImage }) => [...perImage.get(name)!]);
    all.set(
      name,
      Float32Array.from(ofImages, (value) => value / ranks.length),
    );
  }
  for (const name of first!.perParameter.keys()) {
    const each = ranks.map(({ perParameter }) => perParameter.get(name)!);
    all.set(
      name,
      each[0]!.map((_, i) => mean(each.map((values) => values[i]!))),
    );
  }
  for (const [name, values] of first!.statistics) all.set(name, values);
  return all;
}

/** For each output the largest difference, of the largest number that is wanted. */
function distances(ranks: readonly Evaluated[], whole: Evaluated): [string, number][] {
  const [got, wanted] = [joined(ranks), joined([whole])];
  assert.deepEqual([...got.keys()], [...wanted.keys()]);
  const largest = (values: Float32Array) =>
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return [...wanted].map(([name, values]) => {
    const size = largest(values);
    assert.ok(size > 0, `${name} is zero`);
    return [name, largest(values.map((value, i) => value - got.get(name)![i]!)) / size];
  });
}

for (const [spread, ignored] of Object.entries(SPREADS)) {
  const labels = labelsOf(ignored);
  for (const size of [2, 4]) {
    test(`${size} ranks, ${spread}: terms, gradients, statistics and banks are those of one process`, (t) => {
      const whole = alone(labels);
      const ranks = onRanks(size, labels);
      const all = distances(ranks, whole);
      // Weights of both heads and convolutions, three outputs, statistics of two norms, each term.
      assert.ok(all.length > TERMS.length + 15, `${all.length} outputs`);
      t.diagnostic(`largest: ${Math.max(...all.map(([, d]) => d)).toExponential(1)}`);
      // NaN is too far off, too.
      assert.deepEqual(
        all.filter(([, distance]) => !(distance < BOUND)),
        [],
      );
      for (const { statistics, banks } of ranks) {
        assert.deepEqual(statistics, ranks[0]!.statistics);
        assert.deepEqual(banks, whole.banks);
      }
    });
  }
}

test('the bound tells each switch apart, in values and in gradients', () => {
  const labels = labelsOf(SPREADS['the first rank has none']);
  const whole = alone(labels);
  for (const [change, seen] of [
    [{ labelledMean: 'rank' }, ['term task', 'term memory_pixel', 'logits', 'aux']],
    [{ minibatch: 'rank' }, ['term minibatch_pixel', 'term minibatch_channel', 'feature']],
    [{ norms: 'rank' }, ['term memory_pixel', 'term channel_mse', 'project_head.0.weight']],
  ] as const) {
    // A rank without a label would give NaN.
    const settings = { ...GLOBAL, ...change };
    const other = new Map(distances(onRanks(2, labels, settings), whole));
    for (const name of seen) {
      const distance = other.get(name);
      assert.ok(
        distance !== undefined && !(distance < 50 * BOUND),
        `${JSON.stringify(change)}: ${name} ${distance}`,
      );
    }
  }
});

test("one process' gradients with such labels are difference quotients of its total", () => {
  const labels = labelsOf(SPREADS['one rank of four has none, the others few or many']);
  const whole = alone(labels);
  for (const output of ['logits', 'aux', 'feature'] as const) {
    const values = INPUTS[output];
    // One number of each image.
    const chosen = Array.from({ length: N }, (_, i) =>
      Math.floor(((i + 0.37) * values.length) / N),
    );
    const at = (from: Float32Array) => Float32Array.from(chosen, (element) => from[element]!);
    const totalAt = (x: Float32Array) => {
      const changed = values.slice();
      for (const [i, element] of chosen.entries()) changed[element] = x[i]!;
      return alone(labels, { ...INPUTS, [output]: changed }).terms['total']!;
    };
    const gradient = at(whole.perImage.get(output)!);
    assertLossGradient(totalAt, at(values), gradient, { tolerance: 1e-2 });
  }
});
