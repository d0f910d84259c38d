/** The adversary of a config with loss.weights.skd_holistic: discriminator, optimizer, draws. */
import type { StudentConfig } from '../../src/config/student.js';
import type { DiscriminatorObjective } from '../../src/losses/adversarial/skdHolistic.js';
import { drawsFor } from '../../src/random/draws.js';
import { AdamW } from '../../src/train/adamW.js';
import { Adversary } from '../../src/train/adversary/adversary.js';
import {
  DiscriminatorModel,
  discriminatorWeights,
} from '../../src/train/adversary/discriminatorModel.js';

export function buildAdversary(
  { seed, loss: { discriminator }, train: { steps } }: StudentConfig,
  classes: number,
): Adversary {
  const { weight, learningRate, polyPower, betas, epsilon } = discriminator;
  const model = new DiscriminatorModel(classes, discriminatorWeights(seed, classes));
  return new Adversary({
    model,
    // Without decay AdamW is Adam.
    optimizer: new AdamW(model.parameters(), { betas, epsilon, weightDecay: 0 }),
    schedule: { learningRate, polyPower, steps, warmupSteps: 0 },
    weight,
    objective: (...pass) => objectiveOf(seed, discriminator, ...pass),
  });
}

function objectiveOf(
  seed: number,
  { kind, gradientPenalty: penalty }: StudentConfig['loss']['discriminator'],
  step: number,
  microBatch: number,
  images: number,
): DiscriminatorObjective {
  if (kind === 'hinge') return { kind };
  const shares_N = new Float32Array(images);
  drawsFor(seed, 'penalty_shares', step, microBatch).fillUniform(shares_N, 0, 1);
  return { kind, penalty, shares_N };
}
