/** A student's training step as a run computes it, on input that is already in memory. */
import type { Collective } from '../../../src/collectives/collective.js';
import { singleProcess } from '../../../src/collectives/single.js';
import { scope, type Tensor } from '../../../src/tensor/index.js';
import { NonFiniteLossError, type TermValues } from '../../../src/train/outcome.js';
import { type GradientObserver, Trainer, type TrainingBatch } from '../../../src/train/trainer.js';
import { buildTrainer } from '../../student/trainer.js';
import { fillBanks, studentBatch } from './inputs.js';
import { configOf, type Workload } from './workload.js';

export class StudentWork {
  readonly trainer: Trainer;
  readonly #batch: TrainingBatch;
  #steps = 0;

  /**
   * Weights as at the start of a run, banks full. Throws ConfigError, as configOf does.
   *
   * @param group the workload is one rank's share of its batch
   */
  constructor(workload: Workload, group: Collective = singleProcess) {
    const { classes, loss, teacherChannels } = workload;
    this.trainer = buildTrainer({
      config: configOf(workload),
      classes,
      teacherChannels: loss === 'labels' ? null : teacherChannels,
      group,
    });
    fillBanks(this.trainer.parts.objective);
    this.#batch = scope(() => studentBatch(workload));
    // A step's tape releases its inputs, so they are held here.
    for (const tensor of this.#tensors()) tensor.hold();
  }

  get image_NHWC(): Tensor {
    return this.#batch.image_NHWC;
  }

  /**
   * Makes the next update. Throws NonFiniteLossError if it isn't finite.
   *
   * @param overlap false: a group's gradients are sent after the backward pass
   */
  step(overlap = true): void {
    this.#run(overlap ? this.trainer : new Trainer({ ...this.trainer.parts, overlap }));
  }

  /** Makes the next update with given bank rows and without dropout, for a comparison. */
  chosenStep(draws: Trainer['parts']['draws'], observe: GradientObserver): TermValues {
    return this.#run(new Trainer({ ...this.trainer.parts, draws, dropoutSeed: null }), observe);
  }

  dispose(): void {
    const { parts } = this.trainer;
    const { network, projectionHead, channel, termConvolutions, adversary, optimizer } = parts;
    const heads = [projectionHead, channel?.head, termConvolutions];
    for (const part of [network, ...heads, adversary, optimizer]) part?.dispose();
    for (const tensor of this.#tensors()) tensor.free();
  }

  #tensors(): Tensor[] {
    const { image_NHWC, teacher } = this.#batch;
    const outputs: readonly (Tensor | null)[] = Object.values(teacher ?? {});
    return [image_NHWC, ...outputs.filter((output) => output !== null)];
  }

  #run(trainer: Trainer, observe?: GradientObserver): TermValues {
    const outcome = trainer.step(this.#steps, [this.#batch], observe);
    if (outcome.kind === 'nonfinite') {
      const { terms } = outcome;
      throw new NonFiniteLossError(`step ${this.#steps}: ${JSON.stringify(terms)}`, terms);
    }
    this.#steps += 1;
    return outcome.terms;
  }
}
