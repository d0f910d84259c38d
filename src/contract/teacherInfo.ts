/** What a teacher says of itself. */

/** Input pixels per output position, each way, of every network of the zoo, so of the labels that the losses see. */
export const OUTPUT_STRIDE = 8;

/** The contract of a teacher, checked against the student's before the first step. */
export interface TeacherInfo {
  /** "sha256:<hex>" over weights, architecture, normalisation and numeric mode. */
  readonly digest: string;
  readonly model: string;
  readonly classes: number;
  /** Of the embedding; 0: the teacher gives no feature. */
  readonly featureChannels: number;
  readonly outputStride: number;
  /** On the 0..255 scale, in channelOrder. */
  readonly pixelMean: readonly number[];
  readonly pixelStd: readonly number[];
  readonly channelOrder: 'rgb' | 'bgr';
  /**
   * How logits are brought to the image's size: true as PyTorch's align_corners=True (the official
   * code), false with half-pixel centres (torchvision, mmsegmentation).
   */
  readonly alignCorners: boolean;
  readonly numericMode: string;
  readonly classNames: readonly string[];
}
