/**
 * Bounds what decoding a message costs, before it is decoded: two bytes can make an object, so
 * that a message of the largest size could hold the event loop for seconds. Pixels and tensor
 * data are views and cost nothing; they are all that a large message may be large with.
 */
import { LENGTH_DELIMITED, WireFormatError, WireReader } from './replyWire.js';

/** What a message may hold besides the contents of its bulk field. */
export const MAX_PLAIN_BYTES = 65_536;

/** Later versions add a few fields, not hundreds. */
const MAX_BULK_FIELDS = 256;

/** DistillRequest.image and DistillResponse.tensor have the same number. */
const BULK_MEMBER_TAG = (2 << 3) | LENGTH_DELIMITED;

/** Image.rgb */
export const REQUEST_BULK_FIELD = 8;
/** TensorChunk.data */
export const RESPONSE_BULK_FIELD = 9;

/**
 * Throws WireFormatError for a message over MAX_PLAIN_BYTES that isn't exactly one image (or
 * tensor) with its field `bulkField`, of type bytes, holding all but MAX_PLAIN_BYTES.
 */
export function checkMessageBounds(bytes: Uint8Array, bulkField: number): void {
  if (bytes.length <= MAX_PLAIN_BYTES) return;
  const outer = new WireReader(bytes, 1);
  if (bytes[0] !== BULK_MEMBER_TAG) throw tooLarge(bytes.length);
  const body = outer.view();
  if (!outer.done) throw tooLarge(bytes.length);
  const bulkTag = (bulkField << 3) | LENGTH_DELIMITED;
  const reader = new WireReader(body);
  let plainBytes = body.length;
  for (let fields = 1; !reader.done; fields++) {
    if (fields > MAX_BULK_FIELDS) {
      throw new WireFormatError(`message: more than ${MAX_BULK_FIELDS} fields in field 2`);
    }
    const tag = reader.uint32();
    if (tag === bulkTag) plainBytes -= reader.view().length;
    else reader.skip(tag & 7);
  }
  if (plainBytes > MAX_PLAIN_BYTES) throw tooLarge(plainBytes);
}

function tooLarge(bytes: number): WireFormatError {
  return new WireFormatError(
    `message: ${bytes} bytes besides pixels or tensor data given, wanted at most ${MAX_PLAIN_BYTES}`,
  );
}
