/**
 * The tensors of an answer, made of what the network gave. Most are the network's bytes as they are. The
 * rest (the feature, and half precision beside single precision of the same values) is made here,
 * a part at a time, so that the event loop goes on meanwhile.
 */
import { setImmediate } from 'node:timers/promises';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import type { EncodedOutput, OutputName, OutputRequest } from '../../contract/outputs.js';
import { GrpcStatus, RpcError } from '../../rpc/errors.js';
import { encodeHalf } from '../../wire/half.js';
import type { InferPlan } from './inferRequest.js';
import {
  DATATYPE_BYTES,
  type ModelTensor,
  networkOutputs,
  type OutputDatatype,
  type OutputValues,
} from './modelTensors.js';

/** One output of an answer. */
export interface AnswerTensor {
  readonly tensor: ModelTensor;
  /** [N, h, w, …] */
  readonly shape: readonly number[];
  /** Its bytes, in one part per image. */
  readonly parts: readonly Uint8Array[];
}

/** Elements made between two turns of the event loop: a few milliseconds. */
const PART_ELEMENTS = 262_144;

/** The largest number of half precision. */
const MAX_HALF = 65_504;

/** Bytes that `answerTensors` allocates for a request. */
export function derivedBytes(
  { outputs, images, height, width }: Pick<InferPlan, 'outputs' | 'images' | 'height' | 'width'>,
  outputStride: number,
): number {
  const positions = Math.ceil(height / outputStride) * Math.ceil(width / outputStride);
  const given = networkOutputs(outputs);
  let bytes = 0;
  for (const one of outputs) {
    if (!isGiven(one, given)) bytes += (one.channels ?? 1) * DATATYPE_BYTES[one.datatype];
  }
  return images.length * positions * bytes;
}

/**
 * The requested outputs, in order. Rejects with RpcError INTERNAL if a feature doesn't fit half
 * precision.
 *
 * @param results the network's outputs of each image
 */
export async function answerTensors(
  { outputs }: Pick<InferPlan, 'outputs'>,
  results: readonly EncodedOutput[][],
): Promise<AnswerTensor[]> {
  const tensors: AnswerTensor[] = [];
  const given = networkOutputs(outputs);
  for (const tensor of outputs) {
    const parts: Uint8Array[] = [];
    for (const result of results) {
      parts.push(isGiven(tensor, given) ? givenBytes(tensor, result) : await made(tensor, result));
    }
    const norms = results[0]!.find(({ output }) => output !== 'classifier')!.tensor;
    const [h = 0, w = 0] = norms.shape;
    const channels = tensor.channels === null ? [] : [tensor.channels];
    tensors.push({ tensor, shape: [results.length, h, w, ...channels], parts });
  }
  return tensors;
}

/** Whether the network gives an output with exactly these values in this data type. */
function isGiven({ values, datatype }: ModelTensor, given: readonly OutputRequest[]): boolean {
  return given.some(
    ({ output, encoding }) => output === values && (encoding === 'fp16') === (datatype === 'FP16'),
  );
}

function givenBytes({ values }: ModelTensor, result: readonly EncodedOutput[]): Uint8Array {
  return new Uint8Array(tensorOf(result, values as OutputName & OutputValues).data);
}

async function made(
  { values, datatype, channels }: ModelTensor,
  result: readonly EncodedOutput[],
): Promise<Uint8Array> {
  if (values !== 'feature') return halves(new Float32Array(tensorOf(result, values).data));
  const rows = new Float32Array(tensorOf(result, 'embedding').data);
  const norms = new Float32Array(tensorOf(result, 'feature_norm').data);
  if (datatype === 'FP16') checkRange(norms);
  return feature(rows, norms, channels ?? 1, datatype);
}

function tensorOf(
  result: readonly EncodedOutput[],
  name: OutputName & OutputValues,
): EncodedTensor {
  const found = result.find(({ output }) => output === name);
  if (found === undefined) throw new Error(`outputs: no ${name} given`);
  return found.tensor;
}

/** Unit rows times their norms: no element is larger than its row's norm. */
function checkRange(norms: Float32Array): void {
  const tooLarge = norms.find((norm) => norm > MAX_HALF);
  if (tooLarge === undefined) return;
  throw new RpcError(
    GrpcStatus.INTERNAL,
    `feature_fp16: a row has the norm ${tooLarge}, half precision ends at ${MAX_HALF}; request the output 'feature'`,
  );
}

async function feature(
  rows: Float32Array,
  norms: Float32Array,
  channels: number,
  datatype: OutputDatatype,
): Promise<Uint8Array> {
  const made = new Uint8Array(rows.length * DATATYPE_BYTES[datatype]);
  const rowsPerPart = Math.max(1, Math.floor(PART_ELEMENTS / channels));
  const part = new Float32Array(rowsPerPart * channels);
  for (let row = 0; row < norms.length; row += rowsPerPart) {
    const end = Math.min(norms.length, row + rowsPerPart);
    for (let at = row; at < end; at++) {
      const norm = norms[at]!;
      const to = (at - row) * channels;
      for (let c = 0; c < channels; c++) part[to + c] = rows[at * channels + c]! * norm;
    }
    const filled = part.subarray(0, (end - row) * channels);
    const encoded = datatype === 'FP16' ? encodeHalf(filled) : filled;
    made.set(bytesIn(encoded), row * channels * DATATYPE_BYTES[datatype]);
    await setImmediate();
  }
  return made;
}

async function halves(values: Float32Array): Promise<Uint8Array> {
  const made = new Uint16Array(values.length);
  for (let at = 0; at < values.length; at += PART_ELEMENTS) {
    made.set(encodeHalf(values.subarray(at, at + PART_ELEMENTS)), at);
    await setImmediate();
  }
  return bytesIn(made);
}

function bytesIn({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
