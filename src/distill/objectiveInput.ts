/**
 * What the objective evaluates and gives.
 *
 * N images, H W pixels, h w positions of the networks' outputs, K classes, C student and D teacher
 * channels.
 */
import type { Terms } from '../contract/terms.js';
import type { DiscriminatorLoss } from '../losses/adversarial/skdHolistic.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import type { ChannelChoices, ChannelMemoryBank } from '../memory/channelMemoryBank.js';
import type { BankChoices } from '../memory/choices.js';
import type { PixelMemoryBank } from '../memory/pixelMemoryBank.js';
import type { RegionMemoryBank } from '../memory/regionMemoryBank.js';
import type { Tensor, Var } from '../tensor/index.js';
import type { DiscriminatorInput, TermConvolution } from './comparedTerms.js';
import type { StudentOutputs, TeacherOutputs } from './networkOutputs.js';

export type StepDraws = BankChoices;

export interface ObjectiveInput {
  readonly student: StudentOutputs;
  /** Class numbers or 255, at full resolution [N, H, W]. */
  readonly labels: LabelMaps;
  /** null: only `task` is computed. */
  readonly teacher: TeacherOutputs | null;
  /** The projection head on the step's tape: [N, h, w, C] to [N, h, w, D]. */
  readonly project: ((feature: Var) => Var) | null;
  /** Absent: no channel term has a weight. */
  readonly channel?: ChannelInput;
  /** Absent: no term has one. */
  readonly convolution?: TermConvolution;
  /** SKD's; absent: `skd_holistic` has no weight. */
  readonly discriminator?: DiscriminatorInput;
  readonly draws: StepDraws;
  readonly step: number;
}

/** What the channel terms need in addition. */
export interface ChannelInput {
  /** Pools the feature by CHANNEL_POOLING and projects it to D channels, on the step's tape. */
  readonly project: (feature: Var) => Var;
  readonly choices: ChannelChoices;
}

export interface Evaluation {
  readonly terms: Terms;
  /** Gradients of `total`, for Tape.backward; a Var may occur more than once. */
  readonly seeds: (readonly [Var, Tensor])[];
  /** The discriminator's own loss, unweighted, and its state after this pass; absent without one. */
  readonly discriminator?: DiscriminatorLoss;
}

export interface MemoryBanks {
  readonly pixel: PixelMemoryBank | null;
  readonly region: RegionMemoryBank | null;
  /** Absent: none. */
  readonly channel?: ChannelMemoryBank;
}
