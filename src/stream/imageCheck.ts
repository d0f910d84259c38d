/** Checks one image before anything is allocated for it. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { type GrpcCode, GrpcStatus } from '../rpc/errors.js';
import { outputSize } from '../wire/checkTensor.js';
import { crc32c } from '../wire/crc32c.js';
import { WIRE_DTYPE_BYTES } from '../contract/encodedTensor.js';
import type { ErrorReason } from './generated/cirkd/teacher/v1/ErrorReason.js';
import type { Image } from './generated/cirkd/teacher/v1/Image.js';
import { dtypeOfOutput, type OutputRequest } from '../contract/outputs.js';
import { OUTPUT_TO_WIRE } from './names.js';
import { channelsOf } from './outputCheck.js';

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

/** What the answer has to fit into. */
export interface AnswerShape {
  readonly outputs: readonly OutputRequest[];
  /** Largest piece that is sent: the smaller one of server's and client's. */
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
      `image.rgb: ${rgb.length} bytes given, ${height} x ${width} x 3 wants ${wantedBytes}`,
    );
  }
  checkRows(width, info, answer);
  const checksum = crc32c(rgb);
  if (checksum !== image.crc32c) {
    throw new ImageFault(
      GrpcStatus.DATA_LOSS,
      `image.crc32c: ${hex(image.crc32c)} given, the bytes that came have ${hex(checksum)}`,
      true,
    );
  }
}

/** A piece is whole rows, so one row of each output must fit into it. */
function checkRows(width: number, info: TeacherInfo, answer: AnswerShape): void {
  const outputWidth = outputSize(1, width, info.outputStride)[1];
  for (const request of answer.outputs) {
    const rowBytes =
      outputWidth * channelsOf(request, info) * WIRE_DTYPE_BYTES[dtypeOfOutput(request)];
    if (rowBytes > answer.maxChunkBytes) {
      throw invalid(
        `image.width: ${width} given, a row of ${OUTPUT_TO_WIRE[request.output]} takes ${rowBytes} bytes, pieces have at most ${answer.maxChunkBytes}`,
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
