/** The compared methods' terms inside the objective: exactly the loss functions' values and gradients. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { REPLY_FIELDS } from '../../src/contract/teacher.js';
import {
  COMPARED_TERMS,
  type ComparedTerm,
  TERM_OUTPUTS,
  termWeights,
} from '../../src/contract/terms.js';
import { Objective } from '../../src/distill/objective.js';
import type { TeacherOutputs } from '../../src/distill/networkOutputs.js';
import { channelEnergy, energyOfNorms } from '../../src/losses/compared/attentionMap.js';
import { attentionTransfer } from '../../src/losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd } from '../../src/losses/compared/cwd.js';
import { dsdCategory } from '../../src/losses/compared/dsdCategory.js';
import { dsdPixel } from '../../src/losses/compared/dsdPixel.js';
import { fitnet } from '../../src/losses/compared/fitnet.js';
import { ifvd } from '../../src/losses/compared/ifvd.js';
import { skdPairwise } from '../../src/losses/compared/skdPairwise.js';
import { type LabelMaps, nearestLabels } from '../../src/losses/nearestLabels.js';
import { unitRows } from '../../src/losses/normalize.js';
import { rawFeature } from '../../src/losses/teacherFeature.js';
import { drawnChoices } from '../../src/memory/choices.js';
import { initialWeights } from '../../src/models/initialise.js';
import { TermConvolutions } from '../../src/models/termConvolutions.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, ops, readFloat32, scope, Tape, type Tensor } from '../../src/tensor/index.js';

/** 2 images, 4 x 6 positions, 3 classes, 4 student and 5 teacher channels; labels 8 x 12. */
const [N, H, W, CLASSES, STUDENT, TEACHER] = [2, 4, 6, 3, 4, 5];
const P = N * H * W;
const WEIGHT = 2.5;
const TILING = { lossMemoryMiB: 16 };
const CWD = { temperature: 3, tiling: TILING };
const DSD_TEMPERATURE = 2;

const LABELS: LabelMaps = {
  data: Uint8Array.from({ length: N * 8 * 12 }, (_, i) => (i % 7 === 4 ? 255 : i % CLASSES)),
  images: N,
  height: 8,
  width: 12,
};

const OUTPUTS = ['logits', 'embedding', 'featureNorm', 'auxNorm'] as const;

/** On the current scope. */
function uniform(channels: number, stream: number): Tensor {
  const values = new Float32Array(P * channels);
  drawsFor(5, 'test', stream).fillUniform(values, -1, 1);
  return float32(values, [N, H, W, channels]);
}

const teacherAux = () => uniform(CLASSES, 7);

const auxNorm = () => ops.sqrt(ops.sum(ops.square(teacherAux()), [3]));

function inputs(teacherChannels: number) {
  const { embedding_PC, norm_P1 } = unitRows(ops.reshape(uniform(teacherChannels, 4), [P, -1]));
  return {
    logits: uniform(CLASSES, 1),
    feature: uniform(STUDENT, 2),
    aux: uniform(CLASSES, 6),
    teacher: {
      logits: uniform(CLASSES, 3),
      embedding: ops.reshape(embedding_PC, [N, H, W, teacherChannels]),
      featureNorm: ops.reshape(norm_P1, [N, H, W]),
      auxNorm: auxNorm(),
    },
  };
}

type Inputs = ReturnType<typeof inputs>;

interface Wanted {
  readonly loss: number;
  readonly logits?: Tensor;
  readonly aux?: Tensor;
  readonly feature?: Tensor;
  readonly weights?: Tensor;
}

const raw = ({ teacher }: Inputs) =>
  rawFeature({ embedding_NHWD: teacher.embedding, norm_NHW: teacher.featureNorm });
const energy = ({ teacher }: Inputs) => energyOfNorms(teacher.featureNorm, TEACHER);
const auxEnergy = () => energyOfNorms(auxNorm(), CLASSES);

/** skd_holistic has maps of its own size, and a discriminator: adversary.test.ts. */
type Tested = Exclude<ComparedTerm, 'skd_holistic'>;
const TESTED = COMPARED_TERMS.filter((term): term is Tested => term !== 'skd_holistic');

const WANTED: Record<Tested, (x: Inputs, weight_CD: Tensor) => Wanted> = {
  attention_transfer(x) {
    const { loss, gradient_NHWC } = attentionTransfer(x.feature, energy(x));
    return { loss, feature: gradient_NHWC };
  },
  fitnet(x, weight_CD) {
    const computed = fitnet(x.feature, raw(x), weight_CD, TILING);
    const { loss, gradient_NHWC, weightGradient_CD } = computed;
    return { loss, feature: gradient_NHWC, weights: weightGradient_CD };
  },
  skd_pairwise(x) {
    const { loss, gradient_NHWC } = skdPairwise(x.feature, raw(x), TILING);
    return { loss, feature: gradient_NHWC };
  },
  ifvd(x) {
    const options = { classes: CLASSES, tiling: TILING };
    const { loss, gradient_NHWC } = ifvd(x.feature, raw(x), nearestLabels(LABELS, H, W), options);
    return { loss, feature: gradient_NHWC };
  },
  cwd_feature(x, weight_CD) {
    const computed = convolvedCwd(x.feature, raw(x), weight_CD, CWD);
    const { loss, gradient_NHWC, weightGradient_CD } = computed;
    return { loss, feature: gradient_NHWC, weights: weightGradient_CD };
  },
  cwd_logits(x) {
    const { loss, gradient_NHWC } = cwd(x.logits, x.teacher.logits, CWD);
    return { loss, logits: gradient_NHWC };
  },
  dsd_psd(x) {
    const energies = [auxEnergy(), energy(x), channelEnergy(x.teacher.logits)];
    const { loss, gradients } = dsdPixel([x.aux, x.feature, x.logits], energies);
    return { loss, aux: gradients[0]!, feature: gradients[1]!, logits: gradients[2]! };
  },
  dsd_csd(x) {
    const computed = dsdCategory(x.logits, x.teacher.logits, DSD_TEMPERATURE);
    return { loss: computed.loss, logits: computed.gradient_NHWK };
  },
};

function objectiveOf(weights: Parameters<typeof termWeights>[0]): Objective {
  return new Objective(
    {
      classes: CLASSES,
      teacherChannels: TEACHER,
      weights: termWeights(weights),
      auxWeight: 0,
      alignCorners: true,
      kdTemperature: 1,
      cwdTemperature: CWD.temperature,
      dsdTemperature: DSD_TEMPERATURE,
      contrastTemperature: 0.1,
      contrastKdTemperature: 1,
      minibatchGroup: 0,
      minibatchPooling: 'auto',
      tiling: TILING,
      pixelContrastRows: 1,
      regionContrastRows: 1,
      ...{ channelContrastRows: 6, channelUpdateFreq: 4 },
      pixelUpdateFreq: 1,
      memoryStartStep: 0,
      pixelEnqueue: 'class',
      allIgnored: 'zero',
    },
    { pixel: null, region: null },
  );
}

interface Changes {
  readonly teacherChannels?: number;
  /** Outputs that the teacher doesn't give. */
  readonly lacking?: readonly (keyof TeacherOutputs)[];
  readonly studentAux?: boolean;
}

/** Terms and the gradients that leave the tape; null where none arrived. */
function evaluate(
  weights: Parameters<typeof termWeights>[0],
  convolutions: TermConvolutions | null,
  { teacherChannels = TEACHER, lacking = [], studentAux = true }: Changes = {},
) {
  return scope(() => {
    const { teacher, ...student } = inputs(teacherChannels);
    const tape = new Tape(true);
    const [logits, feature] = [tape.leaf(student.logits), tape.leaf(student.feature)];
    const aux = tape.leaf(student.aux);
    const { terms, seeds } = objectiveOf(weights).evaluate({
      student: { logits, aux: studentAux ? aux : null, feature },
      labels: LABELS,
      teacher: { ...teacher, ...Object.fromEntries(lacking.map((name) => [name, null])) },
      project: null,
      convolution: (term) => convolutions?.weights(tape, term) ?? null,
      draws: drawnChoices(1, 0, 0),
      step: 0,
    });
    const { leaves, parameters } = tape.backward(seeds);
    const host = (x: Tensor | undefined) => (x === undefined ? null : readFloat32(x));
    return {
      terms,
      logits: host(leaves.get(logits)),
      aux: host(leaves.get(aux)),
      feature: host(leaves.get(feature)),
      parameters: new Map([...parameters].map(([{ name }, x]) => [name, readFloat32(x)])),
    };
  });
}

const newConvolutions = (terms: readonly string[]) =>
  new TermConvolutions(terms, STUDENT, TEACHER, initialWeights(3));

const times = (x: Tensor) => readFloat32(x).map((value) => Math.fround(value * WEIGHT));

describe('the terms of the compared methods', () => {
  for (const term of TESTED) {
    it(`${term}: value unweighted, gradients times its weight`, () => {
      const isConvolved = term === 'fitnet' || term === 'cwd_feature';
      const convolutions = newConvolutions(isConvolved ? [term] : []);
      const got = evaluate({ [term]: WEIGHT }, convolutions);
      scope(() => {
        const [weights] = convolutions.parameters();
        const weight_CD =
          weights === undefined
            ? float32(new Float32Array(STUDENT * TEACHER), [STUDENT, TEACHER])
            : ops.reshape(weights.read(), [STUDENT, TEACHER]);
        const wanted = WANTED[term](inputs(TEACHER), weight_CD);
        assert.ok(wanted.loss > 0, `${wanted.loss}`);
        assert.deepEqual(got.terms, { [term]: wanted.loss, total: WEIGHT * wanted.loss });
        for (const output of ['logits', 'aux', 'feature'] as const) {
          const gradient = wanted[output];
          assert.deepEqual(got[output], gradient === undefined ? null : times(gradient));
        }
        const name = `term_convolutions.${term}.weight`;
        const trained = wanted.weights === undefined ? [] : [[name, times(wanted.weights)]];
        assert.deepEqual([...got.parameters], trained);
      });
      convolutions.dispose();
    });
  }

  it('together: the sum of the single terms', () => {
    const convolutions = newConvolutions(['fitnet', 'cwd_feature']);
    const single = TESTED.map((term) => evaluate({ [term]: 1 }, convolutions));
    const all = evaluate(Object.fromEntries(TESTED.map((term) => [term, 1])), convolutions);
    assert.deepEqual(Object.keys(all.terms), [...TESTED, 'total']);
    const sum = new Float64Array(P * STUDENT);
    for (const { feature } of single) {
      for (const [i, value] of (feature ?? new Float32Array(0)).entries()) sum[i]! += value;
    }
    const largest = Math.max(...sum.map(Math.abs));
    const apart = Math.max(...sum.map((value, i) => Math.abs(value - all.feature![i]!)));
    assert.ok(apart < 1e-5 * largest, `${apart} of ${largest}`);
    assert.equal(all.parameters.size, 2);
    convolutions.dispose();
  });

  it('cwd_feature needs no convolution between features of one width', () => {
    const { terms, feature } = evaluate({ cwd_feature: 1 }, null, { teacherChannels: STUDENT });
    const wanted = scope(() => {
      const x = inputs(STUDENT);
      const { loss, gradient_NHWC } = cwd(x.feature, raw(x), CWD);
      return { loss, gradient: readFloat32(gradient_NHWC) };
    });
    assert.equal(terms.cwd_feature, wanted.loss);
    assert.deepEqual(feature, wanted.gradient);
  });

  it('names what is missing: a convolution, a feature', () => {
    assert.throws(() => evaluate({ fitnet: 1 }, null), /fitnet: .* no convolution/);
  });

  // skd_holistic's discriminator wants larger maps: test/system/adversary.test.ts gives it logits alone.
  for (const term of COMPARED_TERMS.filter((one) => one !== 'skd_holistic')) {
    const needed: readonly string[] = TERM_OUTPUTS[term].map((output) => REPLY_FIELDS[output]);
    const isConvolved = term === 'fitnet' || term === 'cwd_feature';
    it(`${term}: computed from ${needed.join(', ')}, and from nothing less`, () => {
      const convolutions = newConvolutions(isConvolved ? [term] : []);
      const evaluated = (lacking: readonly (keyof TeacherOutputs)[]) =>
        evaluate({ [term]: WEIGHT }, convolutions, { lacking });
      const others = OUTPUTS.filter((output) => !needed.includes(output));
      assert.deepEqual(evaluated(others), evaluated([]));
      for (const output of OUTPUTS.filter((one) => needed.includes(one) && one !== 'auxNorm')) {
        assert.throws(() => evaluated([output]), {
          message: `${output}: null, and terms that need it have a weight`,
        });
      }
      convolutions.dispose();
    });
  }

  for (const changes of [{ lacking: ['auxNorm'] }, { studentAux: false }] as const) {
    it(`dsd_psd has two levels with ${JSON.stringify(changes)}`, () => {
      const got = evaluate({ dsd_psd: WEIGHT }, null, changes);
      scope(() => {
        const x = inputs(TEACHER);
        const energies = [energy(x), channelEnergy(x.teacher.logits)];
        const { loss, gradients } = dsdPixel([x.feature, x.logits], energies);
        assert.equal(got.terms.dsd_psd, loss);
        assert.deepEqual([got.feature, got.logits], gradients.map(times));
        assert.equal(got.aux, null);
      });
    });
  }
});
