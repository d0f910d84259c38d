/**
 * The adversary of a student with `skd_holistic`: SKD's discriminator, its optimizer and its schedule.
 * It is updated once in each of the student's steps, after the student, with gradients of the same
 * forward pass, as in the official trainer.
 */
import type { DiscriminatorInput } from '../../distill/comparedTerms.js';
import type { DiscriminatorParameter } from '../../losses/adversarial/discriminatorParameters.js';
import type {
  DiscriminatorLoss,
  DiscriminatorObjective,
} from '../../losses/adversarial/skdHolistic.js';
import type { StagedBuffers } from '../../models/buffers.js';
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
  /** How it is trained on so many images; draws depend on step and micro-batch alone. */
  readonly objective: (step: number, microBatch: number, images: number) => DiscriminatorObjective;
}

export class Adversary {
  readonly parts: AdversaryParts;

  constructor(parts: AdversaryParts) {
    this.parts = parts;
  }

  /** The discriminator for one forward pass, in the caller's scope. */
  input(
    staged: StagedBuffers,
    { step, microBatch, images }: { step: number; microBatch: number; images: number },
  ): DiscriminatorInput {
    const { model, objective } = this.parts;
    return { ...model.read(staged), objective: objective(step, microBatch, images) };
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
