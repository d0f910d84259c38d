/** Reads a hello: the client's request, or the reason why this server can't fulfil it. */
import { type Encoding, hasOutput, type OutputRequest, OUTPUTS } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { GrpcStatus, invalidArgument, RpcError } from '../../rpc/errors.js';
import { tensorBytes } from '../../wire/checkTensor.js';
import { PROTOCOL_VERSION } from '../codec/teacherService.js';
import { CHANNEL_ORDER, ENCODING, OUTPUT } from '../codec/wireNames.js';
import type { Hello } from '../generated/cirkd/teacher/v1/Hello.js';
import type { TeacherInfoInput } from '../generated/cirkd/teacher/v1/TeacherInfo.js';
import { type InferenceEngine, MAX_RUN_ID_BYTES } from './serving.js';

/** The terms agreed for one stream. */
export interface Agreement {
  readonly runId: string;
  /** Includes the classifier if it is requested. */
  readonly outputs: readonly OutputRequest[];
  /** First grant of tensor bytes. */
  readonly creditBytes: number;
  /** Largest chunk that the client accepts; Infinity if it states none. */
  readonly maxChunkBytes: number;
}

const RUN_ID = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_RUN_ID_BYTES}}$`);

export function isRunId(text: string): boolean {
  return RUN_ID.test(text);
}

/** Throws RpcError: INVALID_ARGUMENT for a malformed request, FAILED_PRECONDITION for an unsupported one. */
export function checkHello(
  hello: Hello,
  engine: Pick<InferenceEngine, 'info' | 'classifier'>,
  encodings: readonly Encoding[],
): Agreement {
  if (hello.protocolVersion !== PROTOCOL_VERSION) {
    throw new RpcError(
      GrpcStatus.FAILED_PRECONDITION,
      `hello.protocol_version: ${hello.protocolVersion} given, this server speaks ${PROTOCOL_VERSION}`,
    );
  }
  if (!isRunId(hello.runId)) {
    const shown = JSON.stringify(hello.runId.slice(0, MAX_RUN_ID_BYTES + 1));
    throw invalidArgument(`hello.run_id: ${shown} given, wanted 1 to 128 of A-Z a-z 0-9 . _ -`);
  }
  const outputs = grantedOutputs(checkOutputs(hello.outputs, encodings), engine);
  return {
    runId: hello.runId,
    outputs,
    creditBytes: checkByteCount('hello.credit_bytes', hello.creditBytes),
    maxChunkBytes: checkByteCount('hello.max_chunk_bytes', hello.maxChunkBytes) || Infinity,
  };
}

/** Throws INVALID_ARGUMENT for a count too large to be an exact number. */
export function checkByteCount(name: string, bytes: number): number {
  if (!Number.isSafeInteger(bytes)) {
    throw invalidArgument(`${name}: ${bytes} given, wanted at most 2^53 - 1`);
  }
  return bytes;
}

export function teacherInfoToWire(
  info: TeacherInfo,
  encodings: readonly Encoding[],
): TeacherInfoInput {
  return {
    ...info,
    pixelMean: [...info.pixelMean],
    pixelStd: [...info.pixelStd],
    channelOrder: CHANNEL_ORDER.toWire[info.channelOrder],
    halfPixelCenters: !info.alignCorners,
    classNames: [...info.classNames],
    encodings: encodings.map((encoding) => ENCODING.toWire[encoding]),
  };
}

/** More than any version has; a bound is needed, as the checks below compare every pair. */
const MAX_OUTPUTS = 16;

/** Throws RpcError: INVALID_ARGUMENT for a malformed request, FAILED_PRECONDITION for an unsupported one. */
export function checkOutputs(
  requested: Hello['outputs'],
  encodings: readonly Encoding[],
): OutputRequest[] {
  if (requested.length === 0)
    throw invalidArgument('hello.outputs: none given, wanted at least one output');
  if (requested.length > MAX_OUTPUTS) {
    throw invalidArgument(
      `hello.outputs: ${requested.length} given, wanted at most ${MAX_OUTPUTS}`,
    );
  }
  const outputs = requested.map((entry, index) => checkOutput(entry, index, encodings));
  const duplicate = outputs.find(({ output }, index) =>
    outputs.slice(0, index).some((earlier) => earlier.output === output),
  );
  if (duplicate)
    throw invalidArgument(`hello.outputs: ${OUTPUT.toWire[duplicate.output]} given twice`);
  if (imageOutputs(outputs).length === 0)
    throw invalidArgument('hello.outputs: no output per image given, wanted at least one');
  checkScale(outputs);
  return outputs;
}

/**
 * The requested outputs that this teacher sends: all of them, except those of a feature, or of
 * auxiliary logits, that it doesn't have. Throws FAILED_PRECONDITION if the request makes no sense
 * without those.
 */
export function grantedOutputs(
  requested: readonly OutputRequest[],
  { info, classifier }: Pick<InferenceEngine, 'info' | 'classifier'>,
): OutputRequest[] {
  const hasFeature = info.featureChannels > 0;
  if (classifier === null && requested.some(({ output }) => output === 'classifier')) {
    const reason = hasFeature ? 'has no such layer' : 'provides no feature';
    throw unsupported(
      `hello.outputs: OUTPUT_CLASSIFIER given, but this teacher ${reason}: its logits can't be rebuilt, set teacher.logits: sent`,
    );
  }
  const granted = requested.filter(({ output }) => hasOutput(info, output));
  if (granted.length > 0) return granted;
  const given = requested.map(({ output }) => OUTPUT.toWire[output]).join(', ');
  throw unsupported(
    `hello.outputs: ${given} given, but this teacher provides ${hasFeature ? 'no auxiliary logits' : 'no feature'}: wanted OUTPUT_LOGITS`,
  );
}

/** The outputs sent for every image, without the stream's own. */
export function imageOutputs(outputs: readonly OutputRequest[]): OutputRequest[] {
  return outputs.filter(({ output }) => OUTPUTS[output].scope === 'image');
}

/** Throws FAILED_PRECONDITION if a row of the classifier is larger than a chunk may be. */
export function checkClassifierRow({ featureChannels }: TeacherInfo, maxChunkBytes: number): void {
  const rowBytes = tensorBytes('fp32', [featureChannels + 1]);
  if (rowBytes <= maxChunkBytes) return;
  throw unsupported(
    `hello.max_chunk_bytes: a row of OUTPUT_CLASSIFIER takes ${rowBytes} bytes, chunks have at most ${maxChunkBytes}`,
  );
}

function checkScale(outputs: readonly OutputRequest[]): void {
  const hasScale = outputs.some(({ output }) => output === 'embedding_scale');
  const hasInt8 = outputs.some(({ encoding }) => encoding === 'int8');
  if (hasInt8 && !hasScale) {
    throw invalidArgument(
      'hello.outputs: OUTPUT_EMBEDDING as ENCODING_INT8 given, wanted OUTPUT_EMBEDDING_SCALE as well',
    );
  }
  if (hasScale && !hasInt8) {
    throw invalidArgument(
      'hello.outputs: OUTPUT_EMBEDDING_SCALE given, wanted OUTPUT_EMBEDDING as ENCODING_INT8 as well',
    );
  }
}

function checkOutput(
  entry: Hello['outputs'][number],
  index: number,
  encodings: readonly Encoding[],
): OutputRequest {
  const name = `hello.outputs[${index}]`;
  const output = OUTPUT.fromWire(entry.output);
  if (output === undefined) {
    const offered = Object.values(OUTPUT.toWire).join(', ');
    throw unsupported(`${name}.output: ${entry.output} given, this server sends ${offered}`);
  }
  if (OUTPUTS[output].isAlwaysFp32) return { output, encoding: 'fp32' };
  const encoding = ENCODING.fromWire(entry.encoding);
  const offered = encodings.filter((one) => OUTPUTS[output].encodings.includes(one));
  if (encoding === undefined || !offered.includes(encoding)) {
    const names = offered.map((one) => ENCODING.toWire[one]).join(', ');
    throw unsupported(
      `${name}.encoding: ${entry.encoding} given, this server sends ${entry.output} as ${names || 'nothing'}`,
    );
  }
  return { output, encoding };
}

function unsupported(message: string): RpcError {
  return new RpcError(GrpcStatus.FAILED_PRECONDITION, message);
}
