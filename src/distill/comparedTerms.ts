/**
 * The terms of the methods compared with, as the objective adds them: AT, FitNet, SKD's pair-wise
 * and holistic terms, IFVD, CWD and DSD. Formulas, official weights and sources: docs/losses.md.
 *
 * N images, h w positions, K classes, C student and D teacher channels.
 */
import { COMPARED_TERMS, type ComparedTerm, type ConvolvedTerm } from '../contract/terms.js';
import type { Discriminator } from '../losses/adversarial/discriminatorParameters.js';
import {
  type DiscriminatorLoss,
  type DiscriminatorObjective,
  skdDiscriminator,
  skdHolistic,
} from '../losses/adversarial/skdHolistic.js';
import { channelEnergy, energyOfNorms } from '../losses/compared/attentionMap.js';
import { attentionTransfer } from '../losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd } from '../losses/compared/cwd.js';
import { dsdCategory } from '../losses/compared/dsdCategory.js';
import { dsdPixel } from '../losses/compared/dsdPixel.js';
import { fitnet } from '../losses/compared/fitnet.js';
import { ifvd } from '../losses/compared/ifvd.js';
import { skdPairwise } from '../losses/compared/skdPairwise.js';
import { type LabelMaps, nearestLabels } from '../losses/nearestLabels.js';
import { ops, scope, type Tensor, type Var } from '../tensor/index.js';
import { given, rawFeatureOf, type StudentOutputs, type TeacherOutputs } from './networkOutputs.js';
import type { ObjectiveSettings } from './settings.js';

/** The terms' 1x1 convolutions on the step's tape, [1, 1, C, D]; null: the term has none. */
export type TermConvolution = (term: ConvolvedTerm) => Var | null;

/** SKD's discriminator as it is before a forward pass, and how it is trained. */
export interface DiscriminatorInput extends Discriminator {
  readonly objective: DiscriminatorObjective;
}

export interface ComparedInput {
  readonly student: StudentOutputs;
  readonly teacher: TeacherOutputs;
  /** At full resolution. */
  readonly labels: LabelMaps;
  readonly convolution: TermConvolution;
  /** null: no term has one. */
  readonly discriminator: DiscriminatorInput | null;
}

/** A term's value, and its gradients with respect to Vars of the tape; all unweighted. */
export interface TermGradients {
  readonly loss: number;
  readonly gradients: readonly (readonly [Var, Tensor])[];
  /** What `skd_holistic` gives for its discriminator. */
  readonly discriminator?: DiscriminatorLoss;
}

/**
 * Computes the terms with a weight above 0 and hands each to `add`.
 * Throws RangeError on shapes that don't fit, Error if a term needs an output of the teacher that isn't
 * there, or `fitnet` its convolution, or `skd_holistic` its discriminator.
 */
export function comparedTerms(
  input: ComparedInput,
  settings: ObjectiveSettings,
  add: (term: ComparedTerm, computed: TermGradients) => void,
): void {
  for (const term of COMPARED_TERMS) {
    if (settings.weights[term] > 0) add(term, COMPUTE[term](input, settings));
  }
}

type Compute = (input: ComparedInput, settings: ObjectiveSettings) => TermGradients;

const COMPUTE: Readonly<Record<ComparedTerm, Compute>> = {
  attention_transfer: ({ student, teacher }, settings) =>
    scope(() => {
      const energy_NHW = featureEnergy(teacher, settings);
      return ofFeature(student, attentionTransfer(student.feature.value, energy_NHW));
    }),
  fitnet: ({ student, teacher, convolution }, { tiling }) => {
    const weights = convolution('fitnet');
    if (weights === null) throw new Error('fitnet: has a weight, and there is no convolution');
    return scope(() => {
      const raw = rawFeatureOf(teacher);
      const computed = fitnet(student.feature.value, raw, asMatrix(weights.value), tiling);
      return convolved(student, weights, computed);
    });
  },
  skd_pairwise: ({ student, teacher }, { tiling }) =>
    scope(() =>
      ofFeature(student, skdPairwise(student.feature.value, rawFeatureOf(teacher), tiling)),
    ),
  // Three passes of the discriminator, in the official trainer's order; its state goes through all.
  skd_holistic: ({ student: { logits }, teacher, discriminator }, { tiling }) => {
    if (discriminator === null) {
      throw new Error('skd_holistic: has a weight, and there is no discriminator');
    }
    const { objective, ...before } = discriminator;
    return scope(() => {
      const { loss, gradient_NHWK, state } = skdHolistic(logits.value, before, tiling);
      const after = { ...before, state };
      const teachers = given(teacher, 'logits');
      const trained = [logits.value, teachers, after, tiling, objective] as const;
      return {
        ...{ loss, gradients: [[logits, gradient_NHWK]] as const },
        discriminator: skdDiscriminator(...trained),
      };
    });
  },
  ifvd: ({ student, teacher, labels }, { classes, tiling }) =>
    scope(() => {
      const [, height = 0, width = 0] = student.feature.shape;
      const nearest = nearestLabels(labels, height, width);
      const options = { classes, tiling };
      return ofFeature(
        student,
        ifvd(student.feature.value, rawFeatureOf(teacher), nearest, options),
      );
    }),
  cwd_feature: ({ student, teacher, convolution }, { cwdTemperature: temperature, tiling }) => {
    const weights = convolution('cwd_feature');
    const options = { temperature, tiling };
    return scope(() => {
      const [own, raw] = [student.feature.value, rawFeatureOf(teacher)];
      if (weights === null) return ofFeature(student, cwd(own, raw, options));
      const computed = convolvedCwd(own, raw, asMatrix(weights.value), options);
      return convolved(student, weights, computed);
    });
  },
  cwd_logits: ({ student: { logits }, teacher }, { cwdTemperature: temperature, tiling }) => {
    const options = { temperature, tiling };
    const { loss, gradient_NHWC } = cwd(logits.value, given(teacher, 'logits'), options);
    return { loss, gradients: [[logits, gradient_NHWC]] };
  },
  dsd_psd: ({ student, teacher }, settings) =>
    scope(() => {
      const levels = dsdLevels(student, teacher, settings);
      const { loss, gradients } = dsdPixel(
        levels.map(({ map }) => map.value),
        levels.map(({ energy_NHW }) => energy_NHW),
      );
      return { loss, gradients: levels.map(({ map }, level) => [map, gradients[level]!]) };
    }),
  dsd_csd: ({ student: { logits }, teacher }, { dsdTemperature }) => {
    const { loss, gradient_NHWK } = dsdCategory(
      logits.value,
      given(teacher, 'logits'),
      dsdTemperature,
    );
    return { loss, gradients: [[logits, gradient_NHWK]] };
  },
};

function featureEnergy(teacher: TeacherOutputs, { teacherChannels }: ObjectiveSettings): Tensor {
  return energyOfNorms(given(teacher, 'featureNorm'), teacherChannels);
}

/** A level of DSD's pixel term: the student's map and the teacher's energies. */
interface DsdLevel {
  readonly map: Var;
  readonly energy_NHW: Tensor;
}

/**
 * Auxiliary logits, feature and logits, in the official order; the first only if both sides have it.
 * The official script for SegFormer, which has no auxiliary head, has the other two.
 */
function dsdLevels(
  { aux, feature, logits }: StudentOutputs,
  teacher: TeacherOutputs,
  settings: ObjectiveSettings,
): DsdLevel[] {
  const levels = [
    { map: feature, energy_NHW: featureEnergy(teacher, settings) },
    { map: logits, energy_NHW: channelEnergy(given(teacher, 'logits')) },
  ];
  if (aux === null || teacher.auxNorm === null) return levels;
  return [{ map: aux, energy_NHW: energyOfNorms(teacher.auxNorm, settings.classes) }, ...levels];
}

/** [1, 1, C, D] as [C, D]; shares the memory. */
const asMatrix = (weights: Tensor) => ops.reshape(weights, weights.shape.slice(2));

type FeatureLoss = { readonly loss: number; readonly gradient_NHWC: Tensor };

const ofFeature = (
  { feature }: ComparedInput['student'],
  { loss, gradient_NHWC }: FeatureLoss,
): TermGradients => ({ loss, gradients: [[feature, gradient_NHWC]] });

function convolved(
  { feature }: ComparedInput['student'],
  weights: Var,
  { loss, gradient_NHWC, weightGradient_CD }: FeatureLoss & { readonly weightGradient_CD: Tensor },
): TermGradients {
  return {
    loss,
    gradients: [
      [feature, gradient_NHWC],
      [weights, ops.reshape(weightGradient_CD, weights.shape)],
    ],
  };
}
