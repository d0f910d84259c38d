/** What a network gives for an image, by name, and how each output may travel. */
import type { EncodedTensor, WireDType } from './encodedTensor.js';
import type { TeacherInfo } from './teacherInfo.js';

/** Encodings that a hello may ask for. */
export type Encoding = 'fp32' | 'fp16' | 'int8';

/** `classifier` is sent once per stream, the others once per image. */
export type OutputName =
  | 'logits'
  | 'embedding'
  | 'feature_norm'
  | 'embedding_scale'
  | 'classifier'
  | 'aux_norm';

/** An output of an image. */
export type ImageOutput = Exclude<OutputName, 'classifier'>;

/** An output that a student computes with; the other ones serve to send these. */
export type NeededOutput = Exclude<ImageOutput, 'embedding_scale'>;

interface OutputFacts {
  /** stream: comes once per stream, before it is needed. */
  readonly scope: 'image' | 'stream';
  /** What it is made of. Every teacher has logits; not every one has a feature, or auxiliary logits. */
  readonly of: 'logits' | 'feature' | 'aux';
  /** Whether the requested encoding has no effect: it is small, and the maps are decoded with it. */
  readonly isAlwaysFp32: boolean;
  /** The encodings that may be requested. */
  readonly encodings: readonly Encoding[];
}

const ANY: readonly Encoding[] = ['fp32', 'fp16', 'int8'];

/** The only list of outputs: all else about them is derived from it or keyed by its names. */
export const OUTPUTS: Readonly<Record<OutputName, OutputFacts>> = {
  // A step of int8 is too coarse for logits: the KD loss sees every one of them.
  logits: { scope: 'image', of: 'logits', isAlwaysFp32: false, encodings: ['fp32', 'fp16'] },
  embedding: { scope: 'image', of: 'feature', isAlwaysFp32: false, encodings: ANY },
  feature_norm: { scope: 'image', of: 'feature', isAlwaysFp32: true, encodings: ANY },
  embedding_scale: { scope: 'image', of: 'feature', isAlwaysFp32: true, encodings: ANY },
  classifier: { scope: 'stream', of: 'feature', isAlwaysFp32: true, encodings: ANY },
  // Norms are all that is compared of auxiliary logits.
  aux_norm: { scope: 'image', of: 'aux', isAlwaysFp32: true, encodings: ANY },
};

/** Whether a teacher has what the output is made of. */
export function hasOutput(
  { featureChannels, hasAuxLogits }: Pick<TeacherInfo, 'featureChannels' | 'hasAuxLogits'>,
  output: OutputName,
): boolean {
  return { logits: true, feature: featureChannels > 0, aux: hasAuxLogits }[OUTPUTS[output].of];
}

/** One output of a network, and how it should travel. */
export interface OutputRequest {
  readonly output: OutputName;
  readonly encoding: Encoding;
}

/** One output of one image, ready to travel. */
export interface EncodedOutput {
  readonly output: OutputName;
  readonly tensor: EncodedTensor;
}

/** The dtype in which an output travels. */
export function dtypeOfOutput({ output, encoding }: OutputRequest): WireDType {
  return OUTPUTS[output].isAlwaysFp32 ? 'fp32' : encoding;
}
