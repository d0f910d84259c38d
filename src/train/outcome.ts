/** What a training step takes and says, in plain data that crosses threads. */
import type { CollectiveUse } from '../collectives/collective.js';
import type { TeacherReply } from '../contract/teacher.js';

/** The crops of one forward pass. */
export interface MicroBatch {
  readonly height: number;
  readonly width: number;
  /** One per crop: uint8 HWC, R G B. */
  readonly rgb: readonly Uint8Array[];
  /** One per crop: class numbers or 255 (ignored), row-major. */
  readonly labels: readonly Uint8Array[];
  /** One per crop; null without a teacher. */
  readonly replies: readonly TeacherReply[] | null;
}

/** Another reply for a crop whose first reply wasn't finite. */
export interface ReplyReplacement {
  readonly microBatch: number;
  readonly crop: number;
  readonly reply: TeacherReply;
}

/** Unweighted values, keyed by term; `total` is weighted, `task` includes the auxiliary head. */
export type TermValues = Readonly<Record<string, number>>;

/** What being a group of ranks cost in a step. */
export interface GroupFigures {
  readonly use: CollectiveUse;
  /**
   * By rank: seconds by which it came later than the typical rank to the agreement before the step, evaluations and
   * checkpoints aside. The typical rank is the median, of an even number the earlier of the two.
   */
  readonly lagSeconds: readonly number[];
}

export type StepOutcome =
  | {
      readonly kind: 'committed';
      readonly terms: TermValues;
      readonly learningRate: number;
      /** Share of filled rows, 0..1, keyed by memory bank. */
      readonly bankFill: Readonly<Record<string, number>>;
      /** Absent without other ranks. */
      readonly group?: GroupFigures;
    }
  /** Nothing was changed: the teacher's replies to these images (none: to another rank's) contain NaN or infinity. */
  | {
      readonly kind: 'nonfinite_reply';
      readonly images: readonly { readonly microBatch: number; readonly crop: number }[];
    }
  /** Nothing was changed: a rank is to stop before this step. */
  | { readonly kind: 'stopped' }
  /** Nothing was changed: a term, a gradient or a running statistic isn't finite. */
  | {
      readonly kind: 'nonfinite';
      readonly terms: TermValues;
      readonly gradient: string | null;
      /** The first running statistic that isn't finite, if loss and gradients are. */
      readonly statistic?: string;
    };

/** A loss or gradient isn't finite; the message lists every term. Exit code 6. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';
  /** The terms of the step that was not made. */
  readonly terms: TermValues;

  constructor(message: string, terms: TermValues) {
    super(message);
    this.terms = terms;
  }
}
