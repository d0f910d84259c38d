/** Checks an image before anything is allocated for it, and its outputs before they are sent. */
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { type GrpcCode, GrpcStatus } from '../../rpc/errors.js';
import { checkTensor } from '../../wire/checkTensor.js';
import { crc32c } from '../../wire/crc32c.js';
import { type ExpectedOutput, expectedOutputs, rowBytes } from '../codec/outputShapes.js';
import { OUTPUT } from '../codec/wireNames.js';
import type { ErrorReason } from '../generated/cirkd/teacher/v1/ErrorReason.js';
import type { Image } from '../generated/cirkd/teacher/v1/Image.js';
import type { DropReason } from './turns.js';

/** A fault of one image alone: it becomes an ImageError, and the stream goes on. */
export class ImageFault extends Error {
  override readonly name = 'ImageFault';
  readonly code: GrpcCode;
  readonly retryable: boolean;
  readonly reason: ErrorReason;

  constructor(
    code: GrpcCode,
    message: string,
    retryable: boolean,
    reason: ErrorReason = 'ERROR_REASON_UNSPECIFIED',
  ) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.reason = reason;
  }
}

/** The fault reported for an image that the queue dropped. */
export function faultOfDrop(reason: DropReason): ImageFault {
  const [code, message] = {
    evicted: [
      GrpcStatus.RESOURCE_EXHAUSTED,
      'the queue is full, and this run holds more of it than another run',
    ],
    late: [
      GrpcStatus.DEADLINE_EXCEEDED,
      'not computed: too little time was left before the deadline',
    ],
  }[reason] as [GrpcCode, string];
  return new ImageFault(code, message, true);
}

/** The bounds that the answer has to fit into. */
export interface AnswerShape {
  readonly outputs: readonly OutputRequest[];
  /** Largest chunk that is sent: the smaller of the server's and the client's limit. */
  readonly maxChunkBytes: number;
}

/** Throws ImageFault; cheap checks first, the checksum last. */
export function checkImage(
  image: Image,
  maxImagePixels: number,
  info: TeacherInfo,
  answer: AnswerShape,
): void {
  const { id, height, width, rgb } = image;
  if (!Number.isSafeInteger(id)) throw invalid(`image.id: ${id} given, wanted at most 2^53 - 1`);
  if (height < 1 || width < 1) {
    throw invalid(`image size: ${height} x ${width} given, wanted at least 1 x 1`);
  }
  if (height * width > maxImagePixels) {
    throw invalid(
      `image size: ${height} x ${width} = ${height * width} pixels given, wanted at most ${maxImagePixels}`,
    );
  }
  const wantedBytes = height * width * 3;
  if (rgb.length !== wantedBytes) {
    throw invalid(
      `image.rgb: ${rgb.length} bytes given, ${height} x ${width} x 3 needs ${wantedBytes}`,
    );
  }
  checkRows(width, info, answer);
  const checksum = crc32c(rgb);
  if (checksum !== image.crc32c) {
    throw new ImageFault(
      GrpcStatus.DATA_LOSS,
      `image.crc32c: ${hex(image.crc32c)} given, the bytes received have ${hex(checksum)}`,
      true,
    );
  }
}

/** A chunk consists of whole rows, so one row of each output must fit into it. */
function checkRows(
  width: number,
  info: TeacherInfo,
  { outputs, maxChunkBytes }: AnswerShape,
): void {
  for (const expected of expectedOutputs({ height: 1, width }, info, outputs)) {
    const bytes = rowBytes(expected);
    if (bytes > maxChunkBytes) {
      throw invalid(
        `image.width: ${width} given, a row of ${OUTPUT.toWire[expected.name]} takes ${bytes} bytes, chunks have at most ${maxChunkBytes}`,
      );
    }
  }
}

function invalid(message: string): ImageFault {
  return new ImageFault(GrpcStatus.INVALID_ARGUMENT, message, false);
}

function hex(checksum: number): string {
  return `0x${checksum.toString(16).padStart(8, '0')}`;
}

/**
 * Checks an engine's result before any of it is sent: sizes only, no value is read. Throws
 * TensorFormatError, or Error if an output is missing or wasn't requested.
 */
export function checkResult(
  outputs: readonly EncodedOutput[],
  expected: readonly ExpectedOutput[],
): void {
  const isWhole =
    outputs.length === expected.length &&
    expected.every(({ name }, index) => outputs[index]!.output === name);
  if (!isWhole) {
    const given = outputs.map(({ output }) => output).join();
    const wanted = expected.map(({ name }) => name).join();
    throw new Error(`outputs: ${given} given, wanted ${wanted}`);
  }
  for (let index = 0; index < expected.length; index++) {
    const { name, dtype, shape } = expected[index]!;
    checkTensor(name, outputs[index]!.tensor, dtype, shape);
  }
}
