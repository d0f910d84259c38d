/**
 * Decodes requests at a bounded cost. Raw tensors become views, and tensors in typed fields, where each
 * element of two bytes would become a number of JavaScript's, stay bytes until their shape is checked.
 * What is left of a message is small, and goes through protobufjs.
 */
import {
  LENGTH_DELIMITED,
  tag,
  varintBytes,
  WireFormatError,
  WireReader,
  WireWriter,
} from '../../stream/codec/protobufWire.js';
import { InferenceService } from '../codec/inferenceService.js';
import type { ModelInferRequest } from '../generated/inference/ModelInferRequest.js';

/** A request without its tensors, and these. */
export interface DecodedRequest {
  /** `contents` and `rawInputContents` are empty: see the fields below. */
  readonly request: ModelInferRequest;
  /** raw_input_contents, in order. */
  readonly raw: readonly Uint8Array[];
  /** The encoded InferTensorContents of each input, in order; undefined where there is none. */
  readonly contents: readonly (Uint8Array | undefined)[];
}

/** A message, or the reason why the bytes aren't one that this server decodes. */
export type Incoming<Message> = Message | { readonly malformed: string };

/** Limit on a message's bytes besides tensors. */
const MAX_PLAIN_BYTES = 65_536;

/** Those of a usual request are some hundred. */
const MAX_KEPT_BYTES = 4096;

/** A request has one input. More than that comes from clients of other models, not by the hundred. */
const MAX_TENSORS = 256;

const INPUTS_TAG = tag(5, LENGTH_DELIMITED);
const RAW_TAG = tag(7, LENGTH_DELIMITED);
const CONTENTS_TAG = tag(5, LENGTH_DELIMITED);

export function decodeInferRequest(bytes: Buffer): Incoming<DecodedRequest> {
  try {
    const { plain, raw, contents } = takenApart(bytes);
    return { request: decodedPlain(plain), raw, contents };
  } catch (error) {
    return { malformed: (error as Error).message };
  }
}

let last: { readonly plain: Buffer; readonly request: ModelInferRequest } | undefined;

/**
 * A client's requests differ in their tensors only, unless it gives them ids: what was decoded last often serves
 * again. Nobody writes into a request.
 */
function decodedPlain(plain: Buffer): ModelInferRequest {
  if (last?.plain.equals(plain)) return last.request;
  const request = InferenceService.service.ModelInfer.requestDeserialize(plain);
  // Larger ones, which come from nobody in earnest, are not kept.
  if (plain.length <= MAX_KEPT_BYTES) last = { plain, request };
  return request;
}

/** For the small messages of the other methods. */
export function boundedDecoder<Message>(
  decode: (bytes: Buffer) => Message,
): (bytes: Buffer) => Incoming<Message> {
  return (bytes) => {
    if (bytes.length > MAX_PLAIN_BYTES) return { malformed: tooLarge(bytes.length).message };
    try {
      return decode(bytes);
    } catch (error) {
      return { malformed: (error as Error).message };
    }
  };
}

interface Parts {
  /** The message without tensors. */
  readonly plain: Buffer;
  readonly raw: Uint8Array[];
  readonly contents: (Uint8Array | undefined)[];
}

/** Throws WireFormatError, also for a message with more besides tensors than may be decoded. */
function takenApart(bytes: Uint8Array): Parts {
  const raw: Uint8Array[] = [];
  const contents: (Uint8Array | undefined)[] = [];
  const plain = new PlainParts();
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const begin = reader.at;
    const fieldTag = reader.uint32();
    if (raw.length > MAX_TENSORS || contents.length > MAX_TENSORS) {
      throw new WireFormatError(`message: more than ${MAX_TENSORS} tensors given`);
    }
    if (fieldTag === RAW_TAG) {
      raw.push(reader.view());
    } else if (fieldTag === INPUTS_TAG) {
      const input = inputWithoutContents(reader.view());
      contents.push(input.contents);
      plain.addField(fieldTag, input.parts);
    } else {
      reader.skip(fieldTag & 7);
      plain.add(bytes.subarray(begin, reader.at));
    }
  }
  return { plain: plain.joined(), raw, contents };
}

function inputWithoutContents(input: Uint8Array): {
  readonly parts: PlainParts;
  readonly contents: Uint8Array | undefined;
} {
  const parts = new PlainParts();
  let contents: Uint8Array | undefined;
  const reader = new WireReader(input);
  while (!reader.done) {
    const begin = reader.at;
    const fieldTag = reader.uint32();
    if (fieldTag === CONTENTS_TAG) {
      // Protobuf would merge them; no client writes a field twice that isn't repeated.
      if (contents !== undefined) throw new WireFormatError('input: contents given twice');
      contents = reader.view();
    } else {
      reader.skip(fieldTag & 7);
      parts.add(input.subarray(begin, reader.at));
    }
  }
  return { parts, contents };
}

/** Slices of a message that are joined again; bounded. */
class PlainParts {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  add(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > MAX_PLAIN_BYTES) throw tooLarge(this.#bytes);
    this.#parts.push(part);
  }

  /** A field whose contents are `parts`. */
  addField(fieldTag: number, { joinedBytes, slices }: PlainParts): void {
    const head = new WireWriter(varintBytes(fieldTag) + varintBytes(joinedBytes));
    head.varint(fieldTag);
    head.varint(joinedBytes);
    this.add(head.written);
    for (const slice of slices) this.add(slice);
  }

  get joinedBytes(): number {
    return this.#bytes;
  }

  get slices(): readonly Uint8Array[] {
    return this.#parts;
  }

  joined(): Buffer {
    return Buffer.concat(this.#parts, this.#bytes);
  }
}

function tooLarge(bytes: number): WireFormatError {
  return new WireFormatError(
    `message: ${bytes} bytes besides tensors given, wanted at most ${MAX_PLAIN_BYTES}`,
  );
}
