/** What the server needs of a network, wherever it runs. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import type { InferenceImage } from '../contract/inference.js';
import type { EncodedTensor } from '../contract/encodedTensor.js';
import type { EncodedOutput, OutputRequest } from '../contract/outputs.js';

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
