/**
 * A serialised message in parts, which a server sends without joining them: an answer's tensors go to the
 * connection from where the network has put them. Nobody may change them until then.
 */
export class PartedMessage {
  /** Its first bytes. */
  readonly head: Uint8Array;
  /** What follows, in order. */
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(head: Uint8Array, parts: readonly Uint8Array[]) {
    this.head = head;
    this.parts = parts;
    let bytes = head.length;
    for (const part of parts) bytes += part.length;
    this.byteLength = bytes;
  }

  /** All of it as one buffer, for those who can't send parts. */
  joined(): Buffer {
    return Buffer.concat([this.head, ...this.parts], this.byteLength);
  }
}
