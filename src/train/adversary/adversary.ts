/**
 * The adversary of a student with `skd_holistic`: SKD's discriminator, its optimizer and its schedule.
 * It is updated once in each of the student's steps, after the student, with gradients of the same
 * forward pass, as in the official trainer.
 */
import type { Collective } from '../../collectives/collective.js';
import type { DiscriminatorInput } from '../../distill/comparedTerms.js';
import type { DiscriminatorParameter } from '../../losses/adversarial/discriminatorParameters.js';
import type {
  DiscriminatorLoss,
  DiscriminatorObjective,
} from '../../losses/adversarial/skdHolistic.js';
import type { StagedBuffers } from '../../models/buffers.js';
import type { BatchShare } from '../../models/context.js';
import { ops, type Parameter, scalar, scope, type Tensor } from '../../tensor/index.js';
import type { Optimizer } from '../optimizer.js';
import { learningRateAt, type Schedule } from '../schedule.js';
import type { DiscriminatorModel } from './discriminatorModel.js';

export interface AdversaryParts {
  readonly model: DiscriminatorModel;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  /** Factor on the discriminator's own loss; official 0.1. */
  readonly weight: number;
  /** How it is trained in a pass; draws depend on step, micro-batch and the image's place in the whole batch. */
  readonly objective: (pass: AdversaryPass) => DiscriminatorObjective;
}

export interface AdversaryPass {
  readonly step: number;
  readonly microBatch: number;
  /** Of this rank. */
  readonly images: number;
  /** null or absent without other ranks. */
  readonly share?: BatchShare | null;
}

export class Adversary {
  readonly parts: AdversaryParts;

  constructor(parts: AdversaryParts) {
    this.parts = parts;
  }

  /** The discriminator for one forward pass, in the caller's scope. */
  input(staged: StagedBuffers, pass: AdversaryPass): DiscriminatorInput {
    const { model, objective } = this.parts;
    const { share } = pass;
    const ranks = share?.norms === 'synchronised' ? { ranks: share.ranks } : {};
    return { ...model.read(staged), ...ranks, objective: objective(pass) };
  }

  /** Stages the state after a forward pass; returns the weighted gradients, in the caller's scope. */
  stage(staged: StagedBuffers, { gradients, state }: DiscriminatorLoss): Map<Parameter, Tensor> {
    const { model, weight } = this.parts;
    model.stage(staged, state);
    return scope(() => {
      const factor = scalar(weight);
      const entries = Object.entries(gradients) as [DiscriminatorParameter, Tensor][];
      return new Map(
        entries.map(([name, gradient]) => [model.parameter(name), ops.mul(gradient, factor)]),
      );
    });
  }

  /** The means over the ranks of a group of its part of a step's gradients, in the caller's scope. */
  meanGradients(
    group: Collective,
    gradients: ReadonlyMap<Parameter, Tensor>,
  ): [Parameter, Tensor][] {
    const own = this.parts.model.parameters().filter((parameter) => gradients.has(parameter));
    const means = group.allReduce(
      own.map((parameter) => gradients.get(parameter)!),
      'mean',
    );
    return own.map((parameter, i) => [parameter, means[i]!]);
  }

  /** Updates the discriminator with its part of a step's gradients. */
  apply(gradients: ReadonlyMap<Parameter, Tensor>, step: number): void {
    const { optimizer, schedule } = this.parts;
    optimizer.apply(gradients, learningRateAt(schedule, step), step);
  }

  dispose(): void {
    this.parts.optimizer.dispose();
    this.parts.model.dispose();
  }
}
