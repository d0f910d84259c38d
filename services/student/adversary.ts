/** The adversary of a config with loss.weights.skd_holistic: discriminator, optimizer, draws. */
import type { StudentConfig } from '../../src/config/student.js';
import type { DiscriminatorObjective } from '../../src/losses/adversarial/skdHolistic.js';
import { drawsFor } from '../../src/random/draws.js';
import { AdamW } from '../../src/train/adamW.js';
import { Adversary, type AdversaryPass } from '../../src/train/adversary/adversary.js';
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
    objective: (pass) => objectiveOf(seed, discriminator, pass),
  });
}

function objectiveOf(
  seed: number,
  { kind, gradientPenalty: penalty }: StudentConfig['loss']['discriminator'],
  { step, microBatch, images, share }: AdversaryPass,
): DiscriminatorObjective {
  if (kind === 'hinge') return { kind };
  const whole = new Float32Array(images * (share?.ranks.size ?? 1));
  drawsFor(seed, 'penalty_shares', step, microBatch).fillUniform(whole, 0, 1);
  const first = (share?.rank ?? 0) * images;
  return { kind, penalty, shares_N: whole.slice(first, first + images) };
}
