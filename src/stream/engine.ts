/** What the server needs of a network, wherever it runs. */
import type { TeacherInfo } from '../distill/teacher.js';
import type { EncodedTensor } from '../wire/encodedTensor.js';
import type { EncodedOutput, OutputRequest } from './names.js';

export interface InferenceImage {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B; a view at any offset, unchanged while `infer` runs. */
  readonly rgb: Uint8Array;
}

export interface InferenceEngine {
  readonly info: TeacherInfo;
  /**
   * OUTPUT_CLASSIFIER of the contract: fp32 [classes, channels + 1], weights, then bias; null: the
   * logits can't be made of the feature so, or there is none.
   */
  readonly classifier: EncodedTensor | null;
  /**
   * All images have one size. One result an image, in order: its outputs in the order asked for,
   * or an Error that concerns this image alone. A rejection concerns them all.
   */
  infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): Promise<Array<EncodedOutput[] | Error>>;
  close(): Promise<void>;
}

/**
 * The network gave a NaN or an infinity. The message names the output and the place and may be
 * shown to the peer.
 */
export class NonFiniteOutputError extends Error {
  override readonly name = 'NonFiniteOutputError';
}

/**
 * The network can't take such an image, so that asking again is no use. The message says why and may be
 * shown to the peer.
 */
export class RefusedImageError extends Error {
  override readonly name = 'RefusedImageError';
}
