/** The description that a teacher gives of itself. */

/** Input pixels per output position, along each axis, of all networks but SegFormers (outputStrideOf in src/models/zoo.ts). */
export const OUTPUT_STRIDE = 8;

/** The contract of a teacher, checked against the student's before the first step. */
export interface TeacherInfo {
  /** "sha256:<hex>" over weights, architecture, normalisation and numeric mode. */
  readonly digest: string;
  readonly model: string;
  readonly classes: number;
  /** Channels of the embedding; 0: the teacher provides no feature. */
  readonly featureChannels: number;
  /** Whether it gives something of its auxiliary head's logits. */
  readonly hasAuxLogits: boolean;
  readonly outputStride: number;
  /** On the 0..255 scale, in channelOrder. */
  readonly pixelMean: readonly number[];
  readonly pixelStd: readonly number[];
  readonly channelOrder: 'rgb' | 'bgr';
  /**
   * How logits are resized to the image: true as with PyTorch's align_corners=True (the official
   * code), false with half-pixel centres (torchvision, mmsegmentation).
   */
  readonly alignCorners: boolean;
  readonly numericMode: string;
  readonly classNames: readonly string[];
}
