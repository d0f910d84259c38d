/**
 * What the objective evaluates and gives.
 *
 * N images, H W pixels, h w positions of the networks' outputs, K classes, C student and D teacher
 * channels.
 */
import type { Terms } from '../contract/terms.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import { rawFeature } from '../losses/teacherFeature.js';
import type { ChannelChoices, ChannelMemoryBank } from '../memory/channelMemoryBank.js';
import type { BankChoices } from '../memory/choices.js';
import type { PixelMemoryBank } from '../memory/pixelMemoryBank.js';
import type { RegionMemoryBank } from '../memory/regionMemoryBank.js';
import type { Tensor, Var } from '../tensor/index.js';
import type { TermConvolution } from './comparedTerms.js';

export type StepDraws = BankChoices;

/** The network's outputs, on the step's tape. */
export interface StudentOutputs {
  /** [N, h, w, K] */
  readonly logits: Var;
  /** [N, h, w, K]; null for networks without an auxiliary head. */
  readonly aux: Var | null;
  /** [N, h, w, C], raw. */
  readonly feature: Var;
}

/** Decoded replies, float32. null: not asked for (TERM_OUTPUTS), or the teacher doesn't have it. */
export interface TeacherOutputs {
  /** [N, h, w, K] */
  readonly logits: Tensor | null;
  /** [N, h, w, D], unit rows. */
  readonly embedding: Tensor | null;
  /** [N, h, w]: the raw feature is embedding * featureNorm. */
  readonly featureNorm: Tensor | null;
  /** [N, h, w]: norms over the classes of the auxiliary logits. */
  readonly auxNorm: Tensor | null;
}

/** The raw feature, float32 [N, h, w, D]. Throws Error if a part of it isn't there. */
export function rawFeatureOf(outputs: TeacherOutputs): Tensor {
  return rawFeature({
    embedding_NHWD: given(outputs, 'embedding'),
    norm_NHW: given(outputs, 'featureNorm'),
  });
}

/** An output that a term is computed from. Throws Error if it isn't there. */
export function given(outputs: TeacherOutputs, name: keyof TeacherOutputs): Tensor {
  const tensor = outputs[name];
  if (tensor === null) throw new Error(`${name}: null, and terms that need it have a weight`);
  return tensor;
}

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
}

export interface MemoryBanks {
  readonly pixel: PixelMemoryBank | null;
  readonly region: RegionMemoryBank | null;
  /** Absent: none. */
  readonly channel?: ChannelMemoryBank;
}
