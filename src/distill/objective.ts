/**
 * The objective: the weighted sum of named terms, and the gradients that start the backward pass.
 *
 *     total = task CE (+ auxWeight * aux CE) + logits KD + mini-batch pixel + memory pixel + region
 *             + channel terms (channelTerms.ts)
 *             + the terms of the methods compared with (comparedTerms.ts)
 *
 * N images, H W pixels, h w positions of the networks' outputs, K classes, C student and D teacher
 * channels, P = N * h * w.
 */
import {
  CHANNEL_TERMS,
  DISCRIMINATOR_TERM,
  type Terms,
  WEIGHTED_TERMS,
  type WeightedTerm,
} from '../contract/terms.js';
import type { DiscriminatorLoss } from '../losses/adversarial/skdHolistic.js';
import { logitsKd } from '../losses/logitsKd.js';
import { minibatchPixel } from '../losses/minibatchPixel.js';
import { type LabelMaps, nearestLabels } from '../losses/nearestLabels.js';
import { taskCe } from '../losses/taskCe.js';
import { ops, scalar, scope, type Tensor, type Var, zeros } from '../tensor/index.js';
import { channelTerms } from './channelTerms.js';
import { comparedTerms } from './comparedTerms.js';
import { enqueuePixels, enqueueRegions, IGNORED } from './enqueue.js';
import { labelledPositions, type MemoryTerm, memoryTerms } from './memoryTerms.js';
import { given, rawFeatureOf, type StudentOutputs, type TeacherOutputs } from './networkOutputs.js';
import type { Evaluation, MemoryBanks, ObjectiveInput, StepDraws } from './objectiveInput.js';
import { ALONE, gatherLabels, meanFactors, ownRows, type Ranks } from './ranks.js';
import type { ObjectiveSettings } from './settings.js';

/** Collects the terms of one evaluation. */
interface Collected {
  readonly values: Map<WeightedTerm, number>;
  readonly seeds: (readonly [Var, Tensor])[];
  discriminator: DiscriminatorLoss | null;
}

/**
 * Computes the terms with a weight above 0. Without a teacher only `task` is computed. The banks are
 * changed by evaluate() and have to be settled by commit() or discard() before their state is saved.
 */
export class Objective {
  readonly settings: ObjectiveSettings;
  readonly banks: MemoryBanks;
  readonly ranks: Ranks;

  /** Throws Error if a memory term with a weight above 0 has no bank. */
  constructor(settings: ObjectiveSettings, banks: MemoryBanks, ranks: Ranks = ALONE) {
    for (const part of ['pixel', 'region'] as const) {
      if (settings.weights[`memory_${part}`] > 0 && banks[part] === null) {
        throw new Error(`weights.memory_${part}: above 0, and there's no ${part} bank`);
      }
    }
    if (settings.weights.memory_channel > 0 && banks.channel === undefined) {
      throw new Error("weights.memory_channel: above 0, and there's no channel bank");
    }
    this.settings = settings;
    this.banks = banks;
    this.ranks = ranks;
  }

  /** Whether a projection head is needed. */
  get usesMemory(): boolean {
    return this.settings.weights.memory_pixel > 0 || this.settings.weights.memory_region > 0;
  }

  /** Whether a projection head for channels is needed. */
  get usesChannels(): boolean {
    return CHANNEL_TERMS.some((term) => this.settings.weights[term] > 0);
  }

  /**
   * Evaluates one forward pass. Rows for the banks are staged until `commit` or `discard`.
   * Throws RangeError on labels, shapes or group sizes that don't fit, Error if a term with a weight
   * above 0 needs an output of the teacher that isn't there.
   */
  evaluate(input: ObjectiveInput): Evaluation {
    return scope(() => {
      const { weights } = this.settings;
      const { student, teacher } = input;
      const collected: Collected = { values: new Map(), seeds: [], discriminator: null };
      if (weights.task > 0) this.#task(student, input.labels, collected);
      if (teacher !== null) {
        if (weights.logits_kd > 0) this.#logitsKd(student.logits, teacher, collected);
        if (weights.minibatch_pixel > 0) {
          this.#minibatchPixel(student.feature, teacher, collected);
        }
        if (this.usesMemory) this.#memory(input, given(teacher, 'embedding'), collected);
        if (this.usesChannels) this.#channels(input, teacher, collected);
        this.#compared(input, teacher, collected);
      }
      const { seeds, discriminator } = collected;
      const terms = this.#weighted(collected.values);
      if (discriminator === null) return { terms, seeds };
      return {
        terms: { ...terms, [DISCRIMINATOR_TERM]: discriminator.loss },
        ...{ seeds, discriminator },
      };
    });
  }

  /** Makes the rows enqueued since the last commit permanent. */
  commit(): void {
    this.banks.pixel?.commit();
    this.banks.region?.commit();
    this.banks.channel?.commit();
  }

  /** Undoes everything enqueued since the last commit. */
  discard(): void {
    this.banks.pixel?.discard();
    this.banks.region?.discard();
    this.banks.channel?.discard();
  }

  #task({ logits, aux }: StudentOutputs, labels: LabelMaps, { values, seeds }: Collected): void {
    const { weights, auxWeight, allIgnored, alignCorners, classWeights, ohem } = this.settings;
    const options = { ignoreLabel: IGNORED, alignCorners, allIgnored, classWeights, ohem };
    const parts = [{ of: logits, weight: 1, ce: taskCe(logits.value, labels, options) }];
    if (aux !== null && auxWeight > 0) {
      parts.push({ of: aux, weight: auxWeight, ce: taskCe(aux.value, labels, options) });
    }
    const factors = meanFactors(
      this.ranks,
      parts.map(({ ce }) => ce.weight),
    );
    let value = 0;
    for (const [i, { of, weight, ce }] of parts.entries()) {
      const factor = factors[i]!;
      seeds.push([of, times(ce.gradient_NhwK, weights.task * weight * factor)]);
      value += scaled(weight * factor, ce.loss);
    }
    values.set('task', value);
  }

  #logitsKd(logits: Var, teacher: TeacherOutputs, { values, seeds }: Collected): void {
    const { weights, kdTemperature } = this.settings;
    const { loss, gradient_NHWK } = logitsKd(logits.value, given(teacher, 'logits'), kdTemperature);
    seeds.push([logits, times(gradient_NHWK, weights.logits_kd)]);
    values.set('logits_kd', loss);
  }

  #minibatchPixel(feature: Var, teacher: TeacherOutputs, { values, seeds }: Collected): void {
    const { weights, contrastTemperature, minibatchGroup, minibatchPooling, tiling } =
      this.settings;
    // A group of images never spans ranks, so only the whole batch needs the others' images.
    const isShared = this.ranks.minibatch === 'batch' && minibatchGroup === 0;
    const { group } = isShared ? this.ranks : ALONE;
    const { loss, gradient_NHWC } = minibatchPixel(
      group.allGather(feature.value),
      {
        embedding_NHWD: group.allGather(given(teacher, 'embedding')),
        norm_NHW: teacher.featureNorm === null ? null : group.allGather(teacher.featureNorm),
      },
      { temperature: contrastTemperature, minibatchGroup, minibatchPooling, tiling },
    );
    // The trainer divides by the number of ranks, each of which has the gradient of its own images only.
    const weight = weights.minibatch_pixel * group.size;
    seeds.push([feature, times(ownRows(group, gradient_NHWC), weight)]);
    values.set('minibatch_pixel', loss);
  }

  #memory(input: ObjectiveInput, embedding_NHWD: Tensor, { values, seeds }: Collected): void {
    const { settings } = this;
    const [, height = 0, width = 0, channels = 0] = embedding_NHWD.shape;
    const labels = nearestLabels(input.labels, height, width);
    const embedding_PD = ops.reshape(embedding_NHWD, [labels.data.length, channels]);
    // Before sampling, like the official code: a batch also sees its own rows.
    this.#enqueue(embedding_PD, gatherLabels(this.ranks.group, labels), input.draws);
    if (!this.#memoryStarted(input)) {
      this.#memoryConstant(0, values);
      return;
    }
    const projected = this.#projected(input, embedding_NHWD);
    const labelled = labelledPositions(labels);
    const factor = meanFactors(this.ranks, [labelled.length])[0]!;
    if (labelled.length === 0) {
      // The head has run, so it needs a gradient: zero.
      seeds.push([projected, zeros(projected.shape)]);
      this.#memoryConstant(scaled(factor, settings.allIgnored === 'nan' ? Number.NaN : 0), values);
      return;
    }
    const projected_PD = ops.reshape(projected.value, embedding_PD.shape);
    const terms = this.#sample(input.draws);
    const result = memoryTerms(projected_PD, embedding_PD, labelled, terms, settings);
    seeds.push([projected, ops.reshape(times(result.gradient_PD, factor), projected.shape)]);
    for (const [name, loss] of result.losses) values.set(name, loss * factor);
  }

  #channels(input: ObjectiveInput, teacher: TeacherOutputs, { values, seeds }: Collected): void {
    if (input.channel === undefined) {
      throw new Error('channel: absent, and channel terms have a weight');
    }
    const { project, choices } = input.channel;
    const weighted = CHANNEL_TERMS.filter((term) => this.settings.weights[term] > 0);
    const weights = Object.fromEntries(weighted.map((term) => [term, this.settings.weights[term]]));
    const projected = project(input.student.feature);
    const { losses, gradient_NhwD } = channelTerms(
      projected.value,
      rawFeatureOf(teacher),
      this.banks.channel ?? null,
      choices,
      { ...this.settings, weights, contrastsBank: this.#memoryStarted(input) },
      this.ranks,
    );
    seeds.push([projected, gradient_NhwD]);
    for (const [term, loss] of losses) values.set(term, loss);
  }

  #compared(input: ObjectiveInput, teacher: TeacherOutputs, collected: Collected): void {
    const { values, seeds } = collected;
    const { student, labels, convolution = () => null, discriminator = null } = input;
    comparedTerms(
      { student, labels, teacher, convolution, discriminator },
      this.settings,
      (term, { loss, gradients, discriminator: own }) => {
        values.set(term, loss);
        if (own !== undefined) collected.discriminator = own;
        const weight = this.settings.weights[term];
        for (const [of, gradient] of gradients) seeds.push([of, times(gradient, weight)]);
      },
    );
  }

  #memoryStarted({ step }: ObjectiveInput): boolean {
    return step >= this.settings.memoryStartStep;
  }

  #projected({ project, student }: ObjectiveInput, embedding: Tensor): Var {
    if (project === null) throw new Error('project: null, and memory terms have a weight');
    const projected = project(student.feature);
    if (projected.shape.join() !== embedding.shape.join()) {
      throw new RangeError(
        `projected feature: shape [${projected.shape}], the embedding's is [${embedding.shape}]`,
      );
    }
    return projected;
  }

  #enqueue(embedding_PD: Tensor, labels: LabelMaps, draws: StepDraws): void {
    const { settings, banks } = this;
    if (banks.pixel !== null && settings.weights.memory_pixel > 0) {
      enqueuePixels(embedding_PD, labels, banks.pixel, draws, settings, this.ranks.group);
    }
    if (banks.region !== null && settings.weights.memory_region > 0) {
      enqueueRegions(embedding_PD, labels, settings.classes, banks.region, this.ranks.group);
    }
  }

  #sample(draws: StepDraws): MemoryTerm[] {
    const { weights, pixelContrastRows, regionContrastRows } = this.settings;
    const { pixel, region } = this.banks;
    const terms: MemoryTerm[] = [];
    if (pixel !== null && weights.memory_pixel > 0) {
      const rows = pixel.sample(pixelContrastRows, draws);
      terms.push({ name: 'memory_pixel', weight: weights.memory_pixel, rows });
    }
    if (region !== null && weights.memory_region > 0) {
      const rows = region.sample(regionContrastRows, draws);
      terms.push({ name: 'memory_region', weight: weights.memory_region, rows });
    }
    return terms;
  }

  #memoryConstant(value: number, values: Map<WeightedTerm, number>): void {
    const { weights } = this.settings;
    if (weights.memory_pixel > 0) values.set('memory_pixel', value);
    if (weights.memory_region > 0) values.set('memory_region', value);
  }

  #weighted(values: ReadonlyMap<WeightedTerm, number>): Terms {
    const present = WEIGHTED_TERMS.filter((term) => values.has(term));
    const total = present.reduce(
      (sum, term) => sum + this.settings.weights[term] * values.get(term)!,
      0,
    );
    return { ...Object.fromEntries(present.map((term) => [term, values.get(term)!])), total };
  }
}

/** 0 times NaN, the loss of a rank that contributes nothing, is 0. */
const scaled = (factor: number, loss: number) => (factor === 0 ? 0 : factor * loss);

const times = (gradient: Tensor, weight: number) =>
  weight === 1 ? gradient : ops.mul(gradient, scalar(weight));
