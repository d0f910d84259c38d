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
 * SKD's paper has WGAN-GP in its place: the same loss for the student, no hinge, and a penalty on D's
 * gradient, for which the official CIRKD code has a class that it doesn't use.
 *
 * One step of the official code runs D three times: for the student's loss, on the student's logits
 * as constants, on the teacher's. Each moves the state, and normalises with its own batch statistics.
 */
import {
  fill,
  ops,
  readFloat32,
  scalar,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../tensor/index.js';
import { requireSameShape } from '../compared/maps.js';
import type { Tiling } from '../tiling.js';
import { discriminate } from './discriminator.js';
import type {
  DiscriminatorParameter,
  DiscriminatorState,
  DiscriminatorTensors,
} from './discriminatorParameters.js';

export interface Discriminator {
  readonly parameters: DiscriminatorTensors;
  readonly state: DiscriminatorState;
}

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
  { parameters, state }: Discriminator,
  tiling: Tiling,
): HolisticLoss {
  const tape = new Tape(true);
  try {
    return scope(() => {
      const logits = tape.leaf(view(student_NHWK));
      const vars = mapParameters(parameters, (value) => tape.constant(view(value)));
      const { scores, state: after } = discriminate(tape, logits, vars, state, tiling);
      const seed = fill(scores.shape, -1 / scores.value.size);
      const { leaves } = tape.backward([[scores, seed]]);
      return { loss: -meanOf(scores.value), gradient_NHWK: leaves.get(logits)!, state: after };
    });
  } finally {
    tape.dispose();
  }
}

/** The discriminator's own loss. @throws RangeError like `discriminate`, and if the shapes differ */
export function skdDiscriminator(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  { parameters, state }: Discriminator,
  tiling: Tiling,
): DiscriminatorLoss {
  requireSameShape(student_NHWK, teacher_NHWK);
  const tape = new Tape(true);
  try {
    return scope(() => {
      const vars = mapParameters(parameters, (value) => tape.leaf(view(value)));
      const run = (logits_NHWK: Tensor, before: DiscriminatorState) =>
        discriminate(tape, tape.constant(view(logits_NHWK)), vars, before, tiling);
      const student = run(student_NHWK, state);
      const teacher = run(teacher_NHWK, student.state);
      const fake = hinge(student.scores, 1);
      const real = hinge(teacher.scores, -1);
      const { leaves } = tape.backward([fake.seed, real.seed]);
      const gradients = mapParameters(vars, (leaf) => leaves.get(leaf)!);
      return { loss: fake.loss + real.loss, gradients, state: teacher.state };
    });
  } finally {
    tape.dispose();
  }
}

/** The same memory as a tensor of this scope: the tape would free a caller's tensor that no scope has. */
const view = (value: Tensor) => ops.reshape(value, value.shape);

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

function mapParameters<From, To>(
  from: Readonly<Record<DiscriminatorParameter, From>>,
  convert: (value: From) => To,
): Record<DiscriminatorParameter, To> {
  const entries = Object.entries(from) as [DiscriminatorParameter, From][];
  return Object.fromEntries(entries.map(([name, value]) => [name, convert(value)])) as Record<
    DiscriminatorParameter,
    To
  >;
}
