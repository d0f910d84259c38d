/**
 * DistillRequest to bytes. An image is laid out by hand, its pixels copied once into the message;
 * everything else goes through protobufjs. Field numbers as in teacher.proto.
 */
import { varintBytes, WireWriter } from '../../codec/protobufWire.js';
import { TeacherService } from '../../codec/teacherService.js';
import type { CancelInput } from '../../generated/cirkd/teacher/v1/Cancel.js';
import type { HelloInput } from '../../generated/cirkd/teacher/v1/Hello.js';

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
  const message = new WireWriter(1 + varintBytes(bodyBytes) + bodyBytes);
  message.lengthField(2, bodyBytes); // DistillRequest.image
  message.bytes(fields);
  message.bytes(image.rgb);
  return message.buffer;
}

/** Everything of Image up to the first byte of rgb. */
function imageFields(image: OutgoingImage): Uint8Array {
  const key = sampleKeyFields(image.sample, image.augmentationSeed);
  const fields = new WireWriter(8 * MAX_VARINT_FIELD_BYTES + key.length);
  fields.varintField(1, image.id);
  fields.varintField(2, image.attempt);
  fields.varintField(3, image.timeoutMs);
  fields.bytesField(4, key);
  fields.varintField(5, image.height);
  fields.varintField(6, image.width);
  fields.fixed32Field(7, image.crc32c);
  fields.lengthField(8, image.rgb.length);
  return fields.written;
}

function sampleKeyFields(sample: string, augmentationSeed: bigint): Uint8Array {
  const name = new TextEncoder().encode(sample);
  const fields = new WireWriter(2 * MAX_VARINT_FIELD_BYTES + name.length);
  fields.bytesField(1, name);
  fields.varintField(2, BigInt.asUintN(64, augmentationSeed));
  return fields.written;
}
