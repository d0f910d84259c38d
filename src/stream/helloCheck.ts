/** Reads a hello: what the client wants, or why this server can't give it. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { GrpcStatus, RpcError } from '../rpc/errors.js';
import type { Encoding, OutputRequest } from '../contract/outputs.js';
import type { InferenceEngine } from './engine.js';
import type { Hello } from './generated/cirkd/teacher/v1/Hello.js';
import type { TeacherInfoInput } from './generated/cirkd/teacher/v1/TeacherInfo.js';
import { checkWishes, grantedOutputs } from './helloOutputs.js';
import { CHANNEL_ORDER_TO_WIRE, ENCODING_TO_WIRE } from './names.js';
import { MAX_RUN_ID_BYTES } from './serverLimits.js';
import { PROTOCOL_VERSION } from './teacherService.js';

/** What was agreed for one stream. */
export interface Agreement {
  readonly runId: string;
  /** The classifier, too, where it's wanted. */
  readonly outputs: readonly OutputRequest[];
  /** First grant of tensor bytes. */
  readonly creditBytes: number;
  /** Largest piece that the client takes; Infinity when it has no wish. */
  readonly maxChunkBytes: number;
}

const RUN_ID = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_RUN_ID_BYTES}}$`);

/** Throws RpcError: INVALID_ARGUMENT for nonsense, FAILED_PRECONDITION for what we lack. */
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
  if (!RUN_ID.test(hello.runId)) {
    const shown = JSON.stringify(hello.runId.slice(0, MAX_RUN_ID_BYTES + 1));
    throw invalid(`hello.run_id: ${shown} given, wanted 1 to 128 of A-Z a-z 0-9 . _ -`);
  }
  const outputs = grantedOutputs(checkWishes(hello.outputs, encodings), engine);
  return {
    runId: hello.runId,
    outputs,
    creditBytes: checkByteCount('hello.credit_bytes', hello.creditBytes),
    maxChunkBytes: checkByteCount('hello.max_chunk_bytes', hello.maxChunkBytes) || Infinity,
  };
}

/** Throws INVALID_ARGUMENT for a count that isn't exact any more as a number. */
export function checkByteCount(name: string, bytes: number): number {
  if (!Number.isSafeInteger(bytes)) {
    throw invalid(`${name}: ${bytes} given, wanted at most 2^53 - 1`);
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
    channelOrder: CHANNEL_ORDER_TO_WIRE[info.channelOrder],
    halfPixelCenters: !info.alignCorners,
    classNames: [...info.classNames],
    encodings: encodings.map((encoding) => ENCODING_TO_WIRE[encoding]),
  };
}

function invalid(message: string): RpcError {
  return new RpcError(GrpcStatus.INVALID_ARGUMENT, message);
}
