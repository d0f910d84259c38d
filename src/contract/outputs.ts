/** What a network gives for an image, by name, and how each output may travel. */
import type { EncodedTensor, WireDType } from './encodedTensor.js';

/** Encodings that a hello may ask for. */
export type Encoding = 'fp32' | 'fp16' | 'int8';

/** `classifier` is sent once per stream, the others once per image. */
export type OutputName = 'logits' | 'embedding' | 'feature_norm' | 'embedding_scale' | 'classifier';

interface OutputFacts {
  /** stream: comes once per stream, before it is needed. */
  readonly scope: 'image' | 'stream';
  /** Whether only a teacher with a feature has it. */
  readonly isOfFeature: boolean;
  /** Whether the requested encoding has no effect: it is small, and the maps are decoded with it. */
  readonly isAlwaysFp32: boolean;
  /** The encodings that may be requested. */
  readonly encodings: readonly Encoding[];
}

const ANY: readonly Encoding[] = ['fp32', 'fp16', 'int8'];

/** The only list of outputs: all else about them is derived from it or keyed by its names. */
export const OUTPUTS: Readonly<Record<OutputName, OutputFacts>> = {
  // A step of int8 is too coarse for logits: the KD loss sees every one of them.
  logits: { scope: 'image', isOfFeature: false, isAlwaysFp32: false, encodings: ['fp32', 'fp16'] },
  embedding: { scope: 'image', isOfFeature: true, isAlwaysFp32: false, encodings: ANY },
  feature_norm: { scope: 'image', isOfFeature: true, isAlwaysFp32: true, encodings: ANY },
  embedding_scale: { scope: 'image', isOfFeature: true, isAlwaysFp32: true, encodings: ANY },
  classifier: { scope: 'stream', isOfFeature: true, isAlwaysFp32: true, encodings: ANY },
};

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
