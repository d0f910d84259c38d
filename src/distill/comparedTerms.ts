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
import { rawFeature } from '../losses/teacherFeature.js';
import { ops, scope, type Tensor, type Var } from '../tensor/index.js';
import type { ObjectiveSettings } from './settings.js';

/** The terms' 1x1 convolutions on the step's tape, [1, 1, C, D]; null: the term has none. */
export type TermConvolution = (term: ConvolvedTerm) => Var | null;

/** SKD's discriminator as it is before a forward pass, and how it is trained. */
export interface DiscriminatorInput extends Discriminator {
  readonly objective: DiscriminatorObjective;
}

export interface ComparedInput {
  /** [N, h, w, K] and, raw, [N, h, w, C]. */
  readonly student: { readonly logits: Var; readonly feature: Var };
  readonly teacher: {
    /** float32 [N, h, w, K] */
    readonly logits: Tensor;
    /** Unit rows [N, h, w, D] and norms [N, h, w]. Throws Error if the teacher has none. */
    feature(): { readonly embedding: Tensor; readonly featureNorm: Tensor };
  };
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
 * Throws RangeError on shapes that don't fit, Error if a term needs the teacher's feature and there
 * is none, or `fitnet` its convolution, or `skd_holistic` its discriminator.
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
  attention_transfer: ({ student, teacher }) =>
    scope(() =>
      ofFeature(student, attentionTransfer(student.feature.value, teacherEnergy(teacher))),
    ),
  fitnet: ({ student, teacher, convolution }, { tiling }) => {
    const weights = convolution('fitnet');
    if (weights === null) throw new Error('fitnet: has a weight, and there is no convolution');
    return scope(() => {
      const raw = rawOf(teacher);
      const computed = fitnet(student.feature.value, raw, asMatrix(weights.value), tiling);
      return convolved(student, weights, computed);
    });
  },
  skd_pairwise: ({ student, teacher }, { tiling }) =>
    scope(() => ofFeature(student, skdPairwise(student.feature.value, rawOf(teacher), tiling))),
  // Three passes of the discriminator, in the official trainer's order; its state goes through all.
  skd_holistic: ({ student: { logits }, teacher, discriminator }, { tiling }) => {
    if (discriminator === null) {
      throw new Error('skd_holistic: has a weight, and there is no discriminator');
    }
    const { objective, ...before } = discriminator;
    return scope(() => {
      const { loss, gradient_NHWK, state } = skdHolistic(logits.value, before, tiling);
      const after = { ...before, state };
      const trained = [logits.value, teacher.logits, after, tiling, objective] as const;
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
      return ofFeature(student, ifvd(student.feature.value, rawOf(teacher), nearest, options));
    }),
  cwd_feature: ({ student, teacher, convolution }, { cwdTemperature: temperature, tiling }) => {
    const weights = convolution('cwd_feature');
    const options = { temperature, tiling };
    return scope(() => {
      const [own, raw] = [student.feature.value, rawOf(teacher)];
      if (weights === null) return ofFeature(student, cwd(own, raw, options));
      const computed = convolvedCwd(own, raw, asMatrix(weights.value), options);
      return convolved(student, weights, computed);
    });
  },
  cwd_logits: ({ student: { logits }, teacher }, { cwdTemperature: temperature, tiling }) => {
    const { loss, gradient_NHWC } = cwd(logits.value, teacher.logits, { temperature, tiling });
    return { loss, gradients: [[logits, gradient_NHWC]] };
  },
  // Two levels, as in the official script for SegFormer: auxiliary logits aren't sent.
  dsd_psd: ({ student: { feature, logits }, teacher }) =>
    scope(() => {
      const energies = [teacherEnergy(teacher), channelEnergy(teacher.logits)];
      const { loss, gradients } = dsdPixel([feature.value, logits.value], energies);
      return {
        loss,
        gradients: [
          [feature, gradients[0]!],
          [logits, gradients[1]!],
        ],
      };
    }),
  dsd_csd: ({ student: { logits }, teacher }, { dsdTemperature }) => {
    const { loss, gradient_NHWK } = dsdCategory(logits.value, teacher.logits, dsdTemperature);
    return { loss, gradients: [[logits, gradient_NHWK]] };
  },
};

function teacherEnergy(teacher: ComparedInput['teacher']): Tensor {
  const { embedding, featureNorm } = teacher.feature();
  return energyOfNorms(featureNorm, embedding.shape[3]!);
}

function rawOf(teacher: ComparedInput['teacher']): Tensor {
  const { embedding, featureNorm } = teacher.feature();
  return rawFeature({ embedding_NHWD: embedding, norm_NHW: featureNorm });
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
