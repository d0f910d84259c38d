/** Reads the outputs that a hello asks for, or says why this server can't give them. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { GrpcStatus, RpcError } from '../rpc/errors.js';
import { tensorBytes } from '../wire/checkTensor.js';
import { type Encoding, type OutputRequest, OUTPUTS } from '../contract/outputs.js';
import type { InferenceEngine } from './engine.js';
import type { Hello } from './generated/cirkd/teacher/v1/Hello.js';
import { ENCODING_TO_WIRE, encodingFromWire, OUTPUT_TO_WIRE, outputFromWire } from './names.js';

/** More than any version has: the checks below go over every pair. */
const MAX_OUTPUTS = 16;

/** Throws RpcError: INVALID_ARGUMENT for nonsense, FAILED_PRECONDITION for what we lack. */
export function checkWishes(
  wishes: Hello['outputs'],
  encodings: readonly Encoding[],
): OutputRequest[] {
  if (wishes.length === 0) throw invalid('none given, wanted at least one output');
  if (wishes.length > MAX_OUTPUTS) {
    throw invalid(`${wishes.length} given, wanted at most ${MAX_OUTPUTS}`);
  }
  const outputs = wishes.map((wish, index) => checkWish(wish, index, encodings));
  const twice = outputs.find(({ output }, index) =>
    outputs.slice(0, index).some((earlier) => earlier.output === output),
  );
  if (twice) throw invalid(`${OUTPUT_TO_WIRE[twice.output]} given twice`);
  if (imageOutputs(outputs).length === 0) throw invalid('none of an image given, wanted one');
  checkScale(outputs);
  return outputs;
}

/**
 * What this teacher sends of what is wished for: all of it, without the outputs of a feature where it
 * has none. Throws FAILED_PRECONDITION where it can't be done without those.
 */
export function grantedOutputs(
  wishes: readonly OutputRequest[],
  { info, classifier }: Pick<InferenceEngine, 'info' | 'classifier'>,
): OutputRequest[] {
  const hasFeature = info.featureChannels > 0;
  if (classifier === null && wishes.some(({ output }) => output === 'classifier')) {
    const why = hasFeature ? 'has no such layer' : 'gives no feature';
    throw lacking(
      `hello.outputs: OUTPUT_CLASSIFIER given, but this teacher ${why}: its logits can't be rebuilt, set teacher.logits: sent`,
    );
  }
  const granted = wishes.filter(({ output }) => hasFeature || !OUTPUTS[output].isOfFeature);
  if (granted.length > 0) return granted;
  const given = wishes.map(({ output }) => OUTPUT_TO_WIRE[output]).join(', ');
  throw lacking(
    `hello.outputs: ${given} given, but this teacher gives no feature: wanted OUTPUT_LOGITS, set teacher.logits: sent`,
  );
}

/** Those that every image is answered with: without the stream's own. */
export function imageOutputs(outputs: readonly OutputRequest[]): OutputRequest[] {
  return outputs.filter(({ output }) => OUTPUTS[output].scope === 'image');
}

/** Throws FAILED_PRECONDITION where a row of the classifier is larger than a piece may be. */
export function checkClassifierRow({ featureChannels }: TeacherInfo, maxChunkBytes: number): void {
  const rowBytes = tensorBytes('fp32', [featureChannels + 1]);
  if (rowBytes <= maxChunkBytes) return;
  throw lacking(
    `hello.max_chunk_bytes: a row of OUTPUT_CLASSIFIER takes ${rowBytes} bytes, pieces have at most ${maxChunkBytes}`,
  );
}

function checkScale(outputs: readonly OutputRequest[]): void {
  const hasScale = outputs.some(({ output }) => output === 'embedding_scale');
  const hasInt8 = outputs.some(({ encoding }) => encoding === 'int8');
  if (hasInt8 && !hasScale) {
    throw invalid('OUTPUT_EMBEDDING as ENCODING_INT8 given, wanted OUTPUT_EMBEDDING_SCALE, too');
  }
  if (hasScale && !hasInt8) {
    throw invalid('OUTPUT_EMBEDDING_SCALE given, wanted OUTPUT_EMBEDDING as ENCODING_INT8, too');
  }
}

function checkWish(
  wish: Hello['outputs'][number],
  index: number,
  encodings: readonly Encoding[],
): OutputRequest {
  const name = `hello.outputs[${index}]`;
  const output = outputFromWire(wish.output);
  if (output === undefined) {
    const offered = Object.values(OUTPUT_TO_WIRE).join(', ');
    throw lacking(`${name}.output: ${wish.output} given, this server sends ${offered}`);
  }
  if (OUTPUTS[output].isAlwaysFp32) return { output, encoding: 'fp32' };
  const encoding = encodingFromWire(wish.encoding);
  const offered = encodings.filter((one) => OUTPUTS[output].encodings.includes(one));
  if (encoding === undefined || !offered.includes(encoding)) {
    const words = offered.map((one) => ENCODING_TO_WIRE[one]).join(', ');
    throw lacking(
      `${name}.encoding: ${wish.encoding} given, this server sends ${wish.output} as ${words || 'nothing'}`,
    );
  }
  return { output, encoding };
}

function invalid(what: string): RpcError {
  return new RpcError(GrpcStatus.INVALID_ARGUMENT, `hello.outputs: ${what}`);
}

function lacking(message: string): RpcError {
  return new RpcError(GrpcStatus.FAILED_PRECONDITION, message);
}
