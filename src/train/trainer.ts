/**
 * One update of the student, and of its adversary if it has one, all or nothing: everything that a
 * step changes (weights, the optimizers' state, running statistics, memory banks) is written only after
 * loss, gradients and statistics have turned out to be finite.
 *
 * N crops, H W pixels, h w positions of the networks' outputs, K classes, D teacher channels.
 */
import { TERMS } from '../contract/terms.js';
import type { StudentOutputs, TeacherOutputs } from '../distill/networkOutputs.js';
import type { Objective } from '../distill/objective.js';
import type { Evaluation, StepDraws } from '../distill/objectiveInput.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import { StagedBuffers } from '../models/buffers.js';
import type { BatchShare, ForwardContext } from '../models/context.js';
import type { GraphConvolution } from '../models/graphConvolution.js';
import type { SegmentationNetwork } from '../models/network.js';
import type { ProjectionHead } from '../models/projectionHead.js';
import type { TermConvolutions } from '../models/termConvolutions.js';
import type { TrainedPart } from '../models/trainedPart.js';
import { type FinalGradient, type Parameter, scope, Tape, type Tensor } from '../tensor/index.js';
import type { Adversary } from './adversary/adversary.js';
import { type ChannelParts, channelInput } from './channelInput.js';
import { firstNonFinite } from './finite.js';
import { GradientExchange } from './gradientExchange.js';
import { GradientSums } from './gradientSums.js';
import type { Optimizer } from './optimizer.js';
import type { StepOutcome } from './outcome.js';
import { gatherTerms, meanStatistics } from './overRanks.js';
import { learningRateAt, type Schedule } from './schedule.js';
import { auditOf, type StateAudit } from './stateAudit.js';

/** The input of one forward pass. */
export interface TrainingBatch {
  /** float32 [N, H, W, 3], normalised for the student. */
  readonly image_NHWC: Tensor;
  /** Class numbers or 255, [N, H, W]. */
  readonly labels: LabelMaps;
  /** null: trained on labels alone. */
  readonly teacher: TeacherOutputs | null;
}

export interface TrainerParts {
  readonly network: SegmentationNetwork;
  /** Projects the student's feature to the teacher's channels; null without memory terms. */
  readonly projectionHead: ProjectionHead | null;
  /** null without channel terms. */
  readonly channel: ChannelParts | null;
  /** null without a term that has one. */
  readonly termConvolutions: TermConvolutions | null;
  /** Applied to the feature that the terms compare; absent: none. */
  readonly graphConvolution?: GraphConvolution;
  /** null without `skd_holistic`. */
  readonly adversary: Adversary | null;
  readonly objective: Objective;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  /** The pair of seeds for a dropout layer in a forward pass; null: no dropout. */
  readonly dropoutSeed:
    | ((step: number, microBatch: number, layer: number) => readonly [number, number])
    | null;
  /** The random choices of the memory banks in a forward pass. */
  readonly draws: (step: number, microBatch: number) => StepDraws;
  /** Of batch norms over the ranks of the objective's group. Default: synchronised. */
  readonly norms?: BatchShare['norms'];
  /**
   * Whether gradients are sent to the other ranks while the backward pass goes on, or after it; the results are the same
   * bits. Default: true.
   */
  readonly overlap?: boolean;
  /**
   * Whether maps that are cheap to compute are computed again in the backward pass instead of kept for it; the results are
   * the same bits. Default: false.
   */
  readonly recompute?: boolean;
}

type CommittedOrNonFinite = Exclude<StepOutcome, { kind: 'nonfinite_reply' | 'stopped' }>;

interface Accumulated {
  readonly terms: Record<string, number>;
  /** The means over the micro-batches, except those that the exchange has. */
  readonly gradients: Map<Parameter, Tensor>;
}

/** What the forward and backward passes of a step share. */
interface Passes {
  readonly staged: StagedBuffers;
  /** null without other ranks. */
  readonly exchange: GradientExchange | null;
}

interface Pass {
  readonly step: number;
  readonly microBatch: number;
  readonly batch: TrainingBatch;
  readonly staged: StagedBuffers;
  /** Gets the gradients as soon as they are final; absent: the pass returns them. */
  readonly give: FinalGradient | undefined;
}

/** Is called with an update's gradients before they are applied; for conformance and profiles. */
export type GradientObserver = (gradients: ReadonlyMap<Parameter, Tensor>) => void;

/**
 * Makes updates. In a group every rank makes them with its share of each micro-batch, and applies the mean gradient
 * of all ranks; whether a step is finite is decided from values that all ranks share, so that all make it or none.
 * A step that isn't finite, or that fails before the update, leaves the state as it
 * was, and the next step may follow. A step that fails during the update makes the state unusable:
 * step() and requireWholeState() throw from then on.
 */
export class Trainer {
  readonly parts: TrainerParts;
  /** Whether an update has begun and not ended: weights, velocities and banks are inconsistent. */
  #isHalfUpdated = false;
  /** Made when the first step of a group needs it. */
  #audit: StateAudit | null = null;

  constructor(parts: TrainerParts) {
    this.parts = parts;
  }

  /**
   * Throws if an error interrupted an update: the state is then neither that before the step nor
   * that after it, and must neither be saved nor trained further.
   */
  requireWholeState(): void {
    if (this.#isHalfUpdated) {
      throw new Error('trainer: an update failed halfway; its state is unusable');
    }
  }

  /** Makes update number `step`, from 0, with the mean gradient of the micro-batches. */
  step(
    step: number,
    microBatches: readonly TrainingBatch[],
    observe: GradientObserver = () => {},
  ): CommittedOrNonFinite {
    this.requireWholeState();
    const { objective, optimizer, schedule, adversary } = this.parts;
    const staged = new StagedBuffers();
    const exchange = this.#exchange();
    try {
      return scope(() => {
        const passes = { staged, exchange };
        const own = this.#accumulate(step, microBatches, passes);
        const { terms, gradients } = this.#overRanks(step, own, passes);
        const gradient = firstNonFinite(gradients);
        const broken = Object.values(terms).some((value) => !Number.isFinite(value));
        if (broken || gradient !== null) return { kind: 'nonfinite', terms, gradient };
        // A variance overflows before the normalised values do.
        const statistic = firstNonFinite(staged.values);
        if (statistic !== null) return { kind: 'nonfinite', terms, gradient, statistic };
        observe(gradients);
        const learningRate = learningRateAt(schedule, step);
        this.#isHalfUpdated = true;
        optimizer.apply(gradients, learningRate, step);
        adversary?.apply(gradients, step);
        staged.commit();
        objective.commit();
        this.#isHalfUpdated = false;
        return { kind: 'committed', terms, learningRate, bankFill: this.#bankFill() };
      });
    } finally {
      // These do nothing after a commit.
      exchange?.abandon();
      staged.discard();
      objective.discard();
    }
  }

  #exchange(): GradientExchange | null {
    const { group } = this.parts.objective.ranks;
    return group.size === 1 ? null : new GradientExchange(group, this.#parameters());
  }

  /**
   * The means over the ranks of a group. All ranks call it, and none goes on before all have. Throws Error, on all of
   * them, if their states are found to differ.
   */
  #overRanks(step: number, own: Accumulated, { staged, exchange }: Passes): Accumulated {
    if (exchange === null) return own;
    const { objective, norms, optimizer, adversary } = this.parts;
    const { group } = objective.ranks;
    for (const [parameter, gradient] of own.gradients) exchange.give(parameter, gradient);
    this.#audit ??= auditOf(this.#trainedParts(), optimizer, adversary?.parts ?? null);
    const fingerprint = this.#audit.fingerprint(step);
    const gradients = exchange.means();
    const ofAdversary = adversary?.meanGradients(group, own.gradients) ?? [];
    for (const [parameter, mean] of ofAdversary) gradients.set(parameter, mean);
    if (norms === 'rank') meanStatistics(group, staged);
    const { terms, fingerprints } = gatherTerms(group, own.terms, fingerprint);
    this.#audit.requireSame(step, fingerprints);
    return { terms, gradients };
  }

  #trainedParts(): TrainedPart[] {
    const { network, projectionHead, channel, termConvolutions, graphConvolution } = this.parts;
    const parts = [network, projectionHead, channel?.head, termConvolutions, graphConvolution];
    return parts.filter((part) => part !== null && part !== undefined);
  }

  #parameters(): Parameter[] {
    return this.#trainedParts().flatMap((part) => part.parameters());
  }

  #share(): BatchShare | null {
    const { group } = this.parts.objective.ranks;
    if (group.size === 1) return null;
    return { rank: group.rank, ranks: group, norms: this.parts.norms ?? 'synchronised' };
  }

  #bankFill(): Record<string, number> {
    const { pixel, region, channel } = this.parts.objective.banks;
    return {
      ...(pixel === null ? {} : { pixel: pixel.fillRatio }),
      ...(region === null ? {} : { region: region.fillRatio }),
      ...(channel === undefined ? {} : { channel: channel.fillRatio }),
    };
  }

  #accumulate(step: number, microBatches: readonly TrainingBatch[], passes: Passes): Accumulated {
    const count = microBatches.length;
    const terms: Record<string, number> = {};
    const sums = new GradientSums(count);
    const { exchange } = passes;
    const overlapped = this.parts.overlap === false ? null : exchange;
    for (const [microBatch, batch] of microBatches.entries()) {
      const isLast = microBatch === count - 1;
      const give =
        isLast && overlapped !== null
          ? (parameter: Parameter, gradient: Tensor | null) =>
              overlapped.give(parameter, sums.meanWith(parameter, gradient))
          : undefined;
      const pass = scope(() =>
        this.#pass({ step, microBatch, batch, staged: passes.staged, give }),
      );
      for (const term of TERMS) {
        const value = pass.terms[term];
        if (value !== undefined) terms[term] = (terms[term] ?? 0) + value / count;
      }
      sums.add(pass.gradients);
    }
    return { terms, gradients: sums.means() };
  }

  #pass({ step, microBatch, batch, staged, give }: Pass) {
    const { network, projectionHead, channel, termConvolutions, adversary, objective } = this.parts;
    const { dropoutSeed, draws } = this.parts;
    const images = batch.labels.images;
    const tape = new Tape(true, { recompute: this.parts.recompute ?? false });
    const share = this.#share();
    try {
      const context: ForwardContext = {
        tape,
        training: true,
        dropoutSeed:
          dropoutSeed === null ? null : (layer: number) => dropoutSeed(step, microBatch, layer),
        staged,
        ...(share === null ? {} : { share }),
      };
      const outputs = network.forward(context, tape.constant(batch.image_NHWC));
      const student = batch.teacher === null ? outputs : this.#compared(context, outputs);
      const evaluation: Evaluation = objective.evaluate({
        student,
        labels: batch.labels,
        teacher: batch.teacher,
        project:
          projectionHead === null ? null : (feature) => projectionHead.forward(context, feature),
        ...(channel === null ? {} : { channel: channelInput(channel, context, step, microBatch) }),
        convolution: (term) => termConvolutions?.weights(tape, term) ?? null,
        ...(adversary === null
          ? {}
          : { discriminator: adversary.input(staged, { step, microBatch, images, share }) }),
        draws: draws(step, microBatch),
        step,
      });
      const { discriminator } = evaluation;
      const own = discriminator === undefined ? null : adversary?.stage(staged, discriminator);
      if (give !== undefined) {
        // Those that this pass doesn't use mustn't hold up the others.
        for (const each of this.#parameters()) if (!tape.hasRead(each)) give(each, null);
      }
      const { parameters } = tape.backward(evaluation.seeds, give);
      const gradients = new Map([...parameters, ...(own ?? [])]);
      return { terms: evaluation.terms as Partial<Record<string, number>>, gradients };
    } finally {
      tape.dispose();
    }
  }

  /** The student's outputs as the terms take them. */
  #compared(context: ForwardContext, outputs: StudentOutputs): StudentOutputs {
    const { graphConvolution } = this.parts;
    if (graphConvolution === undefined) return outputs;
    return { ...outputs, feature: graphConvolution.forward(context, outputs.feature) };
  }
}
