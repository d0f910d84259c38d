/** The ways in which a teacher's answer can travel. */
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import type { EncodedOutput, Encoding, OutputRequest } from '../../src/contract/outputs.js';
import { replyOfOutputs, type TeacherReply } from '../../src/contract/teacher.js';
import { FEATURE_AND_LOGITS, requestedOutputs } from '../../src/stream/client/helloOutputs.js';

/** The maps of an answer: positions, and the channels of logits and feature. */
export interface AnswerSize {
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly channels: number;
}

export interface WireCase {
  readonly encoding: Encoding;
  readonly logits: 'sent' | 'rebuilt';
}

/** The first is what the others are compared with. */
export const WIRE_CASES: readonly WireCase[] = (['fp32', 'fp16', 'int8'] as const).flatMap(
  (encoding) => (['sent', 'rebuilt'] as const).map((logits) => ({ encoding, logits })),
);

export const caseName = ({ encoding, logits }: WireCase) => `${encoding}, logits ${logits}`;

/** What a teacher is asked for. */
export function requestsOf(wireCase: WireCase): OutputRequest[] {
  return requestedOutputs({ ...wireCase, outputs: FEATURE_AND_LOGITS });
}

/** As the client puts an answer together. */
export function replyOf(outputs: readonly EncodedOutput[]): TeacherReply {
  return replyOfOutputs((name) => outputs.find(({ output }) => output === name)?.tensor ?? null);
}

export function bytesOf(reply: TeacherReply): number {
  const tensors: readonly (EncodedTensor | null)[] = Object.values(reply);
  return tensors.reduce((sum, tensor) => sum + (tensor?.data.byteLength ?? 0), 0);
}
