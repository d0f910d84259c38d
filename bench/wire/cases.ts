/** The ways in which a teacher's answer can travel. */
import type {
  EncodedOutput,
  Encoding,
  OutputName,
  OutputRequest,
} from '../../src/contract/outputs.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import { requestedOutputs } from '../../src/stream/client/options.js';

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
  return requestedOutputs(wireCase);
}

/** As the client puts an answer together. */
export function replyOf(outputs: readonly EncodedOutput[]): TeacherReply {
  const find = (name: OutputName) => outputs.find(({ output }) => output === name)?.tensor ?? null;
  return {
    logits: find('logits'),
    embedding: find('embedding')!,
    embeddingScale: find('embedding_scale'),
    featureNorm: find('feature_norm')!,
  };
}

export function bytesOf({ logits, embedding, embeddingScale, featureNorm }: TeacherReply): number {
  const tensors = [logits, embedding, embeddingScale, featureNorm];
  return tensors.reduce((sum, tensor) => sum + (tensor?.data.byteLength ?? 0), 0);
}
