/**
 * Holistic distillation (SKD): Liu et al., "Structured knowledge distillation for semantic
 * segmentation", CVPR 2019, section 3.2. The student is trained to make logits that a discriminator
 * D (discriminator.ts) takes for a teacher's, and D to tell them apart.
 *
 * N images, H W positions, K classes. Official weights 0.001 (student) and 0.1 (D, with an Adam
 * optimizer of its own: learning rate 4e-4, betas 0.9 and 0.99).
 *
 * The official CIRKD code (losses/adv.py, train_kd.py) trains with the hinge loss:
 *     student: -mean of D(student)
 *     D:       mean of max(0, 1 - D(teacher)) + mean of max(0, 1 + D(student))
 * SKD's own code has WGAN-GP in its place, the same for the student (e of each image drawn, factor 10):
 *     D:       -mean of D(teacher) + mean of D(student) + factor * gradient penalty (gradientPenalty.ts)
 *
 * One step of the official code runs D three times: for the student's loss, on the student's logits
 * as constants, on the teacher's; for the penalty a fourth time. Each moves the state, and normalises
 * with its own batch statistics.
 */
import {
  fill,
  onTape,
  ops,
  readFloat32,
  scalar,
  scope,
  type Tensor,
  type Var,
} from '../../tensor/index.js';
import { requireSameShape } from '../compared/maps.js';
import type { Tiling } from '../tiling.js';
import { discriminate } from './discriminator.js';
import {
  type Discriminator,
  type DiscriminatorState,
  type DiscriminatorTensors,
  mapParameters,
  view,
} from './discriminatorParameters.js';
import { gradientPenalty } from './gradientPenalty.js';

/** How the discriminator is trained. */
export type DiscriminatorObjective =
  | { readonly kind: 'hinge' }
  | {
      readonly kind: 'wgan-gp';
      /** Factor of the gradient penalty; 0: without. */
      readonly penalty: number;
      /** The teacher's share of each mixed image, 0 to 1. */
      readonly shares_N: Float32Array;
    };

const HINGE: DiscriminatorObjective = { kind: 'hinge' };

export interface HolisticLoss {
  readonly loss: number;
  /** float32 [N, H, W, K], with respect to the student's logits. */
  readonly gradient_NHWK: Tensor;
  /** The discriminator's after this forward pass. */
  readonly state: DiscriminatorState;
}

export interface DiscriminatorLoss {
  readonly loss: number;
  /** With respect to every parameter of the discriminator, in its shape. */
  readonly gradients: DiscriminatorTensors;
  /** After both forward passes. */
  readonly state: DiscriminatorState;
}

/** The student's loss. @throws RangeError like `discriminate` */
export function skdHolistic(
  student_NHWK: Tensor,
  { parameters, state, ranks }: Discriminator,
  tiling: Tiling,
): HolisticLoss {
  return onTape((tape) => {
    const logits = tape.leaf(view(student_NHWK));
    const vars = mapParameters(parameters, (value) => tape.constant(view(value)));
    const { scores, state: after } = discriminate(tape, logits, vars, state, tiling, null, ranks);
    const seed = fill(scores.shape, -1 / scores.value.size);
    const { leaves } = tape.backward([[scores, seed]]);
    return { loss: -meanOf(scores.value), gradient_NHWK: leaves.get(logits)!, state: after };
  });
}

/** The discriminator's own loss. @throws RangeError like `discriminate`, and if the shapes differ */
export function skdDiscriminator(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  discriminator: Discriminator,
  tiling: Tiling,
  objective: DiscriminatorObjective = HINGE,
): DiscriminatorLoss {
  requireSameShape(student_NHWK, teacher_NHWK);
  return scope(() => {
    const scored = scoreLoss(student_NHWK, teacher_NHWK, discriminator, tiling, objective.kind);
    if (objective.kind === 'hinge' || objective.penalty === 0) return scored;
    const { penalty, shares_N } = objective;
    const after = { ...discriminator, state: scored.state };
    const smooth = gradientPenalty(student_NHWK, teacher_NHWK, shares_N, after, tiling);
    const gradients = mapParameters(scored.gradients, (gradient, name) =>
      scope(() => ops.add(gradient, ops.mul(smooth.gradients[name], scalar(penalty)))),
    );
    return { loss: scored.loss + penalty * smooth.loss, gradients, state: smooth.state };
  });
}

/** What the scores of both alone give. */
function scoreLoss(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  { parameters, state, ranks }: Discriminator,
  tiling: Tiling,
  kind: DiscriminatorObjective['kind'],
): DiscriminatorLoss {
  return onTape((tape) => {
    const vars = mapParameters(parameters, (value) => tape.leaf(view(value)));
    const run = (logits_NHWK: Tensor, before: DiscriminatorState) =>
      discriminate(tape, tape.constant(view(logits_NHWK)), vars, before, tiling, null, ranks);
    const student = run(student_NHWK, state);
    const teacher = run(teacher_NHWK, student.state);
    const fake = SCORED[kind](student.scores, 1);
    const real = SCORED[kind](teacher.scores, -1);
    const { leaves } = tape.backward([fake.seed, real.seed]);
    const gradients = mapParameters(vars, (leaf) => leaves.get(leaf)!);
    return { loss: fake.loss + real.loss, gradients, state: teacher.state };
  });
}

/** A loss of scores whose sign is 1 for the student's and -1 for the teacher's, and its gradient. */
type ScoredLoss = (
  scores: Var,
  sign: 1 | -1,
) => { readonly loss: number; readonly seed: readonly [Var, Tensor] };

const SCORED: Readonly<Record<DiscriminatorObjective['kind'], ScoredLoss>> = {
  hinge,
  'wgan-gp': (scores, sign) => ({
    loss: sign * meanOf(scores.value),
    seed: [scores, fill(scores.shape, sign / scores.value.size)],
  }),
};

/** Mean of max(0, 1 + sign * score), and its gradient. */
function hinge(scores: Var, sign: 1 | -1): { loss: number; seed: readonly [Var, Tensor] } {
  return scope(() => {
    const margin = ops.add(ops.mul(scores.value, scalar(sign)), scalar(1));
    const isInside = ops.cast(ops.greater(margin, scalar(0)), 'float32');
    const seed = ops.mul(isInside, scalar(sign / scores.value.size));
    return { loss: meanOf(ops.maximum(margin, scalar(0))), seed: [scores, seed] as const };
  });
}

function meanOf(x: Tensor): number {
  const values = readFloat32(x);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
