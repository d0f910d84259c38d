/**
 * Answers as messages of parts: the fields before the tensors go through protobufjs, the tensors
 * themselves are copied once, behind gRPC's header. Fields come in the order of their numbers, as
 * protobufjs writes them.
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { messageOfParts } from '../../rpc/grpcInternals.js';
import { LENGTH_DELIMITED, tag, varintBytes, WireWriter } from '../../stream/codec/protobufWire.js';
import { InferenceService } from '../codec/inferenceService.js';
import type { ModelInferResponseInput } from '../generated/inference/ModelInferResponse.js';
import type { AnswerTensor } from './derivedOutputs.js';
import { MODEL_VERSION } from './modelErrors.js';
import { boundedDecoder, decodeInferRequest } from './requestDecoder.js';

/** The answer to one request. */
export interface InferAnswer {
  readonly modelName: string;
  readonly id: string;
  readonly tensors: readonly AnswerTensor[];
}

/** The answer to one request of a stream: a message instead of tensors means that it failed. */
export type StreamAnswer =
  | InferAnswer
  | { readonly modelName: string; readonly id: string; readonly errorMessage: string };

/** Triton's mark on a stream's messages; every request has one answer here. */
const FINAL = { triton_final_response: { boolParam: true } };

const RAW_OUTPUT_CONTENTS = 6;
const INFER_RESPONSE = 2;

export function encodeAnswer(answer: InferAnswer): Buffer {
  const [head, ...parts] = partsOf(answer, {});
  return messageOfParts(head as Buffer, ...parts);
}

export function encodeStreamAnswer(answer: StreamAnswer): Buffer {
  const { ModelStreamInfer } = InferenceService.service;
  if ('errorMessage' in answer) {
    const { modelName, id, errorMessage } = answer;
    const inferResponse = { modelName, modelVersion: MODEL_VERSION, id, parameters: FINAL };
    return ModelStreamInfer.responseSerialize({ errorMessage, inferResponse });
  }
  const parts = partsOf(answer, FINAL);
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  return messageOfParts(lengthHead(INFER_RESPONSE, bytes), ...parts);
}

/** All of the message; the first part is everything up to the first tensor's length. */
function partsOf(
  { modelName, id, tensors }: InferAnswer,
  parameters: ModelInferResponseInput['parameters'] & object,
): Uint8Array[] {
  const head = InferenceService.service.ModelInfer.responseSerialize({
    modelName,
    modelVersion: MODEL_VERSION,
    id,
    parameters,
    outputs: tensors.map(({ tensor: { name, datatype }, shape }) => ({
      ...{ name, datatype },
      shape: [...shape],
    })),
  });
  const contents = tensors.flatMap(({ parts }) => {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return [lengthHead(RAW_OUTPUT_CONTENTS, bytes), ...parts];
  });
  return [head, ...contents];
}

/** Tag and length of a field. */
function lengthHead(field: number, bytes: number): Buffer {
  const head = new WireWriter(varintBytes(tag(field, LENGTH_DELIMITED)) + varintBytes(bytes));
  head.lengthField(field, bytes);
  return head.buffer;
}

/**
 * The definition for a server. Messages that aren't what the method takes, or cost too much to decode,
 * arrive as `malformed`, so that the call can end with our own status.
 */
export function inferenceServerDefinition(): ServiceDefinition {
  const { service } = InferenceService;
  const bounded = Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      { ...method, requestDeserialize: boundedDecoder<unknown>(method.requestDeserialize) },
    ]),
  );
  const { ModelInfer, ModelStreamInfer } = service;
  return {
    ...bounded,
    ModelInfer: {
      ...ModelInfer,
      requestDeserialize: decodeInferRequest,
      responseSerialize: encodeAnswer,
    },
    ModelStreamInfer: {
      ...ModelStreamInfer,
      requestDeserialize: decodeInferRequest,
      responseSerialize: encodeStreamAnswer,
    },
  } as ServiceDefinition;
}
