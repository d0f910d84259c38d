/**
 * Answers as messages of parts: the tensors are not copied, and the fields before them are written by hand.
 * The bytes are those that protobufjs writes, with fields in the order of their numbers.
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { asSerialized } from '../../rpc/grpcInternals.js';
import { PartedMessage } from '../../rpc/calls/partedMessage.js';
import { LENGTH_DELIMITED, tag, varintBytes, WireWriter } from '../../stream/codec/protobufWire.js';
import { InferenceService } from '../codec/inferenceService.js';
import type { AnswerTensor } from './derivedOutputs.js';
import { MODEL_VERSION } from './modelErrors.js';
import type { ModelTensor } from './modelTensors.js';
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

const FINAL_FIELD = InferenceService.service.ModelInfer.responseSerialize({ parameters: FINAL });

/** Numbers of fields in grpc_service.proto: ModelInferResponse's, */
const ID = 3;
const OUTPUTS = 5;
const RAW_OUTPUT_CONTENTS = 6;
/** its InferOutputTensor's, */
const OUTPUT_NAME = 1;
const OUTPUT_DATATYPE = 2;
const OUTPUT_SHAPE = 3;
/** and ModelStreamInferResponse's. */
const INFER_RESPONSE = 2;

const RAW_TAG_BYTES = varintBytes(tag(RAW_OUTPUT_CONTENTS, LENGTH_DELIMITED));

export function encodeAnswer({ modelName, id, tensors }: InferAnswer): Buffer {
  const fields = headFields(modelName, id, false, tensors);
  return asSerialized(messageOf(writtenHead(fields, 0), tensors));
}

export function encodeStreamAnswer(answer: StreamAnswer): Buffer {
  const { ModelStreamInfer } = InferenceService.service;
  if ('errorMessage' in answer) {
    const { modelName, id, errorMessage } = answer;
    const inferResponse = { modelName, modelVersion: MODEL_VERSION, id, parameters: FINAL };
    return ModelStreamInfer.responseSerialize({ errorMessage, inferResponse });
  }
  const { modelName, id, tensors } = answer;
  const fields = headFields(modelName, id, true, tensors);
  let bytes = bytesOf(fields);
  for (const { parts } of tensors) {
    const part = bytesOf(parts);
    bytes += RAW_TAG_BYTES + varintBytes(part) + part;
  }
  return asSerialized(messageOf(writtenHead(fields, bytes), tensors));
}

/** The fields before the tensors, in the order of their numbers. */
function headFields(
  modelName: string,
  id: string,
  isFinal: boolean,
  tensors: readonly AnswerTensor[],
): Uint8Array[] {
  const fields = [modelFields(modelName)];
  if (id !== '') fields.push(textField(ID, id));
  if (isFinal) fields.push(FINAL_FIELD);
  for (const { tensor, shape } of tensors) fields.push(outputField(tensor, shape));
  return fields;
}

/** @param responseBytes those of the whole ModelInferResponse inside a stream's message; 0: it is the message */
function writtenHead(fields: readonly Uint8Array[], responseBytes: number): Buffer {
  const lengthBytes = responseBytes === 0 ? 0 : 1 + varintBytes(responseBytes);
  const head = new WireWriter(lengthBytes + bytesOf(fields));
  if (responseBytes > 0) head.lengthField(INFER_RESPONSE, responseBytes);
  for (const field of fields) head.bytes(field);
  return head.buffer;
}

function messageOf(head: Buffer, tensors: readonly AnswerTensor[]): PartedMessage {
  const parts: Uint8Array[] = [];
  for (const { parts: contents } of tensors) {
    parts.push(rawHead(bytesOf(contents)), ...contents);
  }
  return new PartedMessage(head, parts);
}

function rawHead(bytes: number): Buffer {
  const head = new WireWriter(RAW_TAG_BYTES + varintBytes(bytes));
  head.lengthField(RAW_OUTPUT_CONTENTS, bytes);
  return head.buffer;
}

function bytesOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

let modelOfLast: { readonly modelName: string; readonly fields: Uint8Array } | undefined;

/** Name and version: a server has one model. */
function modelFields(modelName: string): Uint8Array {
  if (modelOfLast?.modelName !== modelName) {
    const { responseSerialize } = InferenceService.service.ModelInfer;
    const fields = responseSerialize({ modelName, modelVersion: MODEL_VERSION });
    modelOfLast = { modelName, fields };
  }
  return modelOfLast.fields;
}

function textField(field: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const written = new WireWriter(1 + varintBytes(bytes.length) + bytes.length);
  written.bytesField(field, bytes);
  return written.buffer;
}

/** Name and data type of each output, which never change. */
const outputNames = new WeakMap<ModelTensor, Uint8Array>();

/** More than the tags and lengths of an output's fields, and a shape of four numbers, ever take. */
const OUTPUT_HEAD_BYTES = 64;

function outputField(tensor: ModelTensor, shape: readonly number[]): Buffer {
  let names = outputNames.get(tensor);
  if (names === undefined) {
    const { name, datatype } = tensor;
    names = Buffer.concat([textField(OUTPUT_NAME, name), textField(OUTPUT_DATATYPE, datatype)]);
    outputNames.set(tensor, names);
  }
  let shapeBytes = 0;
  for (const extent of shape) shapeBytes += varintBytes(extent);
  const bytes = names.length + 1 + varintBytes(shapeBytes) + shapeBytes;
  const written = new WireWriter(OUTPUT_HEAD_BYTES + bytes);
  written.lengthField(OUTPUTS, bytes);
  written.bytes(names);
  written.packedField(OUTPUT_SHAPE, shape);
  return written.written;
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
