/** Bounds the memory that decoding takes: an empty message takes 2 bytes in a file and a thousand in memory. */
import protobuf from 'protobufjs';
import { CheckpointError } from '../wire/checkpointError.js';

/** Nodes, attributes, tensors and so on, subgraphs included. Large networks have some ten thousand. */
const MOST_MESSAGES = 1_000_000;

/**
 * Counts the messages of the types that the decoder knows, without building them. Throws CheckpointError
 * if there are more than a million, protobufjs' Error if the bytes aren't such a message.
 */
export function checkMessageCount(type: protobuf.Type, bytes: Uint8Array): void {
  const reader = protobuf.Reader.create(bytes);
  let count = 0;
  const walk = (message: protobuf.Type, end: number, depth: number): void => {
    if (depth > protobuf.Reader.recursionLimit) throw new Error('maximum nesting depth exceeded');
    while (reader.pos < end) {
      const tag = reader.uint32();
      const field = message.fieldsById[tag >>> 3]?.resolve();
      // Like the decoder, this doesn't look at a known field's wire type.
      if (field === undefined) reader.skipType(tag & 7);
      else if (field.resolvedType instanceof protobuf.Type) {
        count += 1;
        if (count > MOST_MESSAGES) throw tooMany();
        const length = reader.uint32();
        walk(field.resolvedType, reader.pos + length, depth + 1);
      } else if (field.type === 'string') reader.skip(reader.uint32());
      else reader.skip();
    }
  };
  walk(type, reader.len, 0);
}

function tooMany(): CheckpointError {
  return new CheckpointError(
    `graph: more than ${MOST_MESSAGES} nodes, attributes and tensors given, wanted at most that many`,
  );
}
