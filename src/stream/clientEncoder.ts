/**
 * DistillRequest to bytes. An image is laid out by hand, its pixels copied once into the message;
 * everything else goes through protobufjs. Field numbers as in teacher.proto.
 */
import type { CancelInput } from './generated/cirkd/teacher/v1/Cancel.js';
import type { HelloInput } from './generated/cirkd/teacher/v1/Hello.js';
import { TeacherService } from './teacherService.js';

/** Image of the contract; `rgb` is not copied before the message is made. */
export interface OutgoingImage {
  readonly id: number;
  readonly attempt: number;
  readonly timeoutMs: number;
  readonly sample: string;
  readonly augmentationSeed: bigint;
  readonly height: number;
  readonly width: number;
  readonly crc32c: number;
  readonly rgb: Uint8Array;
}

export type StudentMessage =
  | { readonly hello: HelloInput }
  | { readonly image: OutgoingImage }
  | { readonly cancel: CancelInput }
  | { readonly creditBytes: number };

/** Largest encoding of a 64-bit varint with its tag of one byte. */
const MAX_VARINT_FIELD_BYTES = 11;

const { requestSerialize } = TeacherService.service.Distill;

export function encodeRequest(message: StudentMessage): Buffer {
  return 'image' in message ? encodeImage(message.image) : requestSerialize(message);
}

function encodeImage(image: OutgoingImage): Buffer {
  const fields = imageFields(image);
  const bodyBytes = fields.length + image.rgb.length;
  const bytes = Buffer.allocUnsafe(1 + varintBytes(bodyBytes) + bodyBytes);
  bytes[0] = (2 << 3) | 2; // DistillRequest.image
  const at = writeVarint(bytes, 1, BigInt(bodyBytes));
  bytes.set(fields, at);
  bytes.set(image.rgb, at + fields.length);
  return bytes;
}

/** Everything of Image up to the first byte of rgb. */
function imageFields(image: OutgoingImage): Uint8Array {
  const key = sampleKeyFields(image.sample, image.augmentationSeed);
  const bytes = Buffer.allocUnsafe(8 * MAX_VARINT_FIELD_BYTES + key.length);
  let at = writeVarintField(bytes, 0, 1, BigInt(image.id));
  at = writeVarintField(bytes, at, 2, BigInt(image.attempt));
  at = writeVarintField(bytes, at, 3, BigInt(image.timeoutMs));
  bytes[at++] = (4 << 3) | 2;
  at = writeVarint(bytes, at, BigInt(key.length));
  bytes.set(key, at);
  at = writeVarintField(bytes, at + key.length, 5, BigInt(image.height));
  at = writeVarintField(bytes, at, 6, BigInt(image.width));
  bytes[at++] = (7 << 3) | 5;
  at = bytes.writeUInt32LE(image.crc32c, at);
  bytes[at++] = (8 << 3) | 2;
  at = writeVarint(bytes, at, BigInt(image.rgb.length));
  return bytes.subarray(0, at);
}

function sampleKeyFields(sample: string, augmentationSeed: bigint): Uint8Array {
  const name = new TextEncoder().encode(sample);
  const bytes = Buffer.allocUnsafe(2 * MAX_VARINT_FIELD_BYTES + name.length);
  bytes[0] = (1 << 3) | 2;
  let at = writeVarint(bytes, 1, BigInt(name.length));
  bytes.set(name, at);
  at = writeVarintField(bytes, at + name.length, 2, BigInt.asUintN(64, augmentationSeed));
  return bytes.subarray(0, at);
}

function writeVarintField(bytes: Buffer, at: number, field: number, value: bigint): number {
  bytes[at] = field << 3;
  return writeVarint(bytes, at + 1, value);
}

function writeVarint(bytes: Buffer, begin: number, value: bigint): number {
  let at = begin;
  let rest = value;
  while (rest >= 128n) {
    bytes[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  bytes[at++] = Number(rest);
  return at;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) {
    bytes++;
  }
  return bytes;
}
