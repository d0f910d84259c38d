/** Messages of a server made wrong, of every method: as an object where it is an answer, else as bytes. */
import { InferenceService } from '../../../src/oip/codec/inferenceService.js';
import type { ModelInferResponse } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import type {
  ModelStreamInferResponse,
  ModelStreamInferResponseInput,
} from '../../../src/oip/generated/inference/ModelStreamInferResponse.js';
import type { Draws } from '../../../src/random/draws.js';
import { OF_BYTES } from '../students/mutations.js';
import { ANSWER_MUTATIONS } from './mutatedAnswers.js';

const { ModelInfer, ModelStreamInfer } = InferenceService.service;

export interface MutatedMessage {
  readonly mutation: string;
  readonly bytes: Buffer;
}

/** Errors that a server reports over a stream; `id`: of the image. */
const REPORTED: Readonly<Record<string, (id: string) => ModelStreamInferResponseInput>> = {
  errorReported: (id) => ({ errorMessage: 'out of \u001bmemory', inferResponse: { id } }),
  errorWithoutId: () => ({ errorMessage: 'x'.repeat(20_000) }),
  noAnswer: () => ({}),
};

const BYTE_NAMES = Object.keys(OF_BYTES);
const ANSWER_NAMES = [...Object.keys(ANSWER_MUTATIONS), ...BYTE_NAMES];
const NAMES: Readonly<Record<string, readonly string[]>> = {
  ModelInfer: ANSWER_NAMES,
  ModelStreamInfer: [...ANSWER_NAMES, ...Object.keys(REPORTED)],
};

export function isAnswer(method: string): boolean {
  return method === 'ModelInfer' || method === 'ModelStreamInfer';
}

/** The answer in a message of ModelInfer or ModelStreamInfer; throws for bytes that are none. */
export function answerIn(method: string, bytes: Buffer): ModelStreamInferResponse {
  if (method === 'ModelStreamInfer') return ModelStreamInfer.responseDeserialize(bytes);
  return { errorMessage: '', inferResponse: ModelInfer.responseDeserialize(bytes) };
}

/** @param otherIds of other images, which an answer may claim to be for */
export function mutatedMessage(
  method: string,
  bytes: Buffer,
  draws: Draws,
  otherIds: readonly string[] = [],
): MutatedMessage {
  const names = NAMES[method] ?? BYTE_NAMES;
  const mutation = names[draws.integer(names.length)] as string;
  const ofBytes = OF_BYTES[mutation];
  if (ofBytes !== undefined) return { mutation, bytes: ofBytes(bytes, draws, [bytes]) };
  const { inferResponse } = answerIn(method, bytes);
  const report = REPORTED[mutation];
  if (report !== undefined) {
    return { mutation, bytes: ModelStreamInfer.responseSerialize(report(inferResponse!.id)) };
  }
  const ofAnswer = ANSWER_MUTATIONS[mutation]!;
  // Views on the message's bytes, which mutations copy before they change them.
  const changed = ofAnswer(inferResponse as ModelInferResponse, draws, otherIds);
  return {
    mutation,
    bytes:
      method === 'ModelStreamInfer'
        ? ModelStreamInfer.responseSerialize({ inferResponse: changed })
        : ModelInfer.responseSerialize(changed),
  };
}
