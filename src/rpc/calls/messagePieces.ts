/**
 * Messages that a client takes while their bytes arrive. grpc-js keeps a message's pieces until the last one
 * is there and then joins them in new memory: one copy more than large answers need.
 */

/** Cuts a call's bytes into framed messages: a byte of flags, four of length, the message. */
export interface MessageDecoder {
  /** @returns the messages that these bytes complete */
  write(bytes: Buffer): Buffer[];
}

/** Takes one message. */
export interface PieceSink<Message> {
  /** The message's next bytes, at least one. Not to be kept: they are views on all that was read at once. */
  take(piece: Uint8Array): void;
  /** Called once, after the last byte. */
  end(): Message;
}

/**
 * Decides by a message's first bytes, HEAD_BYTES or all of them, who takes it (first bytes included).
 * Undefined: it is wanted as a whole.
 */
export type OpenSink<Message> = (
  head: Uint8Array,
  messageBytes: number,
) => PieceSink<Message> | undefined;

/** A message is read in pieces or not by as many of its bytes. */
export const HEAD_BYTES = 256;

/** Flags and length. */
const FRAME_BYTES = 5;
const NOTHING = Buffer.alloc(0);
/** grpc-js only reads what a decoder returns. */
const NONE: Buffer[] = [];

export class MessagePieces<Message> {
  readonly #open: OpenSink<Message>;
  readonly #maxBytes: number;
  /** By the memory of the empty message that goes through grpc-js in its place, and so keeps its turn. */
  readonly #taken = new WeakMap<ArrayBufferLike, Message>();

  /** @param maxBytes of a message; a larger one is left to grpc-js, which refuses it */
  constructor(open: OpenSink<Message>, maxBytes: number) {
    this.#open = open;
    this.#maxBytes = maxBytes;
  }

  /** The message for which `bytes` were handed on; undefined: they are the message. */
  taken(bytes: Uint8Array): Message | undefined {
    return this.#taken.get(bytes.buffer);
  }

  /** A decoder for one call. @param whole decodes what no sink takes */
  decoder(whole: MessageDecoder): MessageDecoder {
    return new PieceDecoder({
      whole,
      maxBytes: this.#maxBytes,
      open: this.#open,
      standIn: (message) => {
        const frame = Buffer.from(new ArrayBuffer(FRAME_BYTES));
        this.#taken.set(frame.buffer, message);
        return frame;
      },
    });
  }
}

interface Parts<Message> {
  readonly whole: MessageDecoder;
  readonly maxBytes: number;
  readonly open: OpenSink<Message>;
  readonly standIn: (message: Message) => Buffer;
}

class PieceDecoder<Message> implements MessageDecoder {
  readonly #parts: Parts<Message>;
  #sink: PieceSink<Message> | undefined;
  /** Of the current message; its frame included unless a sink takes it. */
  #missingBytes = 0;
  /** The begin of a message, as long as it is too short to decide by. */
  #begin = NOTHING;

  constructor(parts: Parts<Message>) {
    this.#parts = parts;
  }

  write(bytes: Buffer): Buffer[] {
    // Nearly all of a large message's pieces.
    if (this.#sink !== undefined && bytes.length < this.#missingBytes) {
      this.#missingBytes -= bytes.length;
      this.#sink.take(bytes);
      return NONE;
    }
    return this.#cut(bytes);
  }

  #cut(bytes: Buffer): Buffer[] {
    let rest = this.#begin.length === 0 ? bytes : Buffer.concat([this.#begin, bytes]);
    this.#begin = NOTHING;
    const messages: Buffer[] = [];
    while (rest.length > 0) {
      if (this.#missingBytes === 0) {
        if (!this.#next(rest)) {
          // Copied: a view would keep all of the bytes read at once.
          this.#begin = Buffer.from(rest);
          break;
        }
        if (this.#sink !== undefined) rest = rest.subarray(FRAME_BYTES);
      }
      const piece = rest.subarray(0, this.#missingBytes);
      rest = rest.subarray(piece.length);
      this.#missingBytes -= piece.length;
      this.#pass(piece, messages);
    }
    return messages;
  }

  /** Begins with the next message; false if its first bytes don't suffice. */
  #next(bytes: Buffer): boolean {
    if (bytes.length < FRAME_BYTES) return false;
    const { open, maxBytes } = this.#parts;
    const [flags, messageBytes] = [bytes[0], bytes.readUInt32BE(1)];
    const headBytes = Math.min(messageBytes, HEAD_BYTES);
    this.#sink = undefined;
    this.#missingBytes = FRAME_BYTES + messageBytes;
    // Flags: compressed.
    if (flags !== 0 || messageBytes === 0 || messageBytes > maxBytes) return true;
    if (bytes.length < FRAME_BYTES + headBytes) {
      this.#missingBytes = 0;
      return false;
    }
    this.#sink = open(bytes.subarray(FRAME_BYTES, FRAME_BYTES + headBytes), messageBytes);
    if (this.#sink !== undefined) this.#missingBytes = messageBytes;
    return true;
  }

  #pass(piece: Buffer, messages: Buffer[]): void {
    if (this.#sink === undefined) {
      messages.push(...this.#parts.whole.write(piece));
      return;
    }
    this.#sink.take(piece);
    if (this.#missingBytes > 0) return;
    messages.push(this.#parts.standIn(this.#sink.end()));
    this.#sink = undefined;
  }
}
