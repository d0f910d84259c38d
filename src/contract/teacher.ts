/**
 * A teacher as the training loop sees it: an image goes in, tensors come out. The interface shows no
 * socket, so a local network, a remote fleet and a test double are interchangeable.
 */
import type { EncodedTensor } from './encodedTensor.js';
import type { ImageOutput } from './outputs.js';
import type { TeacherInfo } from './teacherInfo.js';

/** One augmented crop. */
export interface TeacherImage {
  readonly sample: string;
  readonly augmentationSeed: bigint;
  readonly height: number;
  readonly width: number;
  /** For logs: the batch that it belongs to, from 0, counted over the run. */
  readonly batch?: number;
  /** uint8 HWC, R G B. Not kept after the reply and never changed by a teacher. */
  readonly rgb: Uint8Array;
}

/**
 * Outputs for one image at h = ceil(height / stride), w = ceil(width / stride). null: not asked for, or
 * the teacher doesn't have it.
 */
export interface TeacherReply {
  /** [h, w, classes]; null also if they are to be rebuilt with the teacher's classifier. */
  readonly logits: EncodedTensor | null;
  /** Unit rows, [h, w, channels]; int8 rows have to be multiplied by embeddingScale. */
  readonly embedding: EncodedTensor | null;
  /** [h, w], fp32, 0 to 1; null unless the embedding is int8. */
  readonly embeddingScale: EncodedTensor | null;
  /** [h, w], fp32. The raw feature is embedding * featureNorm. */
  readonly featureNorm: EncodedTensor | null;
  /** [h, w], fp32: L2 norms over the classes of the auxiliary logits. */
  readonly auxNorm: EncodedTensor | null;
}

/** The field of a reply that holds an output. */
export const REPLY_FIELDS = {
  logits: 'logits',
  embedding: 'embedding',
  embedding_scale: 'embeddingScale',
  feature_norm: 'featureNorm',
  aux_norm: 'auxNorm',
} as const satisfies Record<ImageOutput, keyof TeacherReply>;

/** A reply of the given outputs. */
export function replyOfOutputs(
  tensorOf: (output: ImageOutput) => EncodedTensor | null,
): TeacherReply {
  return {
    logits: tensorOf('logits'),
    embedding: tensorOf('embedding'),
    embeddingScale: tensorOf('embedding_scale'),
    featureNorm: tensorOf('feature_norm'),
    auxNorm: tensorOf('aux_norm'),
  };
}

/** Safe to share: requests are independent of each other and may be open at once. */
export interface Teacher {
  readonly info: TeacherInfo;
  /**
   * fp32 [classes, channels + 1], finite: weights of the 1x1 convolution from the feature to the
   * logits, then the bias. null where replies have logits.
   */
  readonly classifier: EncodedTensor | null;
  /**
   * Resolves once with the whole answer. Rejects with TeacherUnavailableError when no teacher
   * answered within the configured time, ContractMismatchError when none of the teachers fits,
   * NonFiniteReplyError when teachers reported twice that their answer isn't finite, or with the
   * signal's reason on abort.
   */
  request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply>;
  /**
   * Asks once more for an image whose reply held a non-finite value, at another teacher where
   * there is one.
   */
  requestElsewhere(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply>;
  close(): Promise<void>;
}

/** No teacher answered for longer than the configured time. Exit code 3. */
export class TeacherUnavailableError extends Error {
  override readonly name = 'TeacherUnavailableError';
}

/** A teacher's contract doesn't fit the student's; the message names the field. Exit code 4. */
export class ContractMismatchError extends Error {
  override readonly name = 'ContractMismatchError';
}

/** Two answers for an image weren't finite, as the teacher reported or the student found. Exit code 6. */
export class NonFiniteReplyError extends Error {
  override readonly name = 'NonFiniteReplyError';
}
