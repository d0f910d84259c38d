/** A chunk whose data goes to its place in the answer as it arrives, with its checksum computed on the way. */
import type { PieceSink } from '../../../rpc/calls/messagePieces.js';
import { crc32c } from '../../../wire/crc32c.js';
import type { TeacherMessage } from './responseDecoder.js';
import type { ChunkHead } from './tensorChunk.js';

/** Enough for a call of the checksum's native function, and still in the processor's cache. */
const SUM_BYTES = 65_536;

export class ArrivingChunk implements PieceSink<TeacherMessage> {
  readonly #head: ChunkHead;
  readonly #place: Uint8Array;
  /** Of the fields before the data. */
  #skipBytes: number;
  /** Bytes that have come, and those of them that are in the sum. */
  #at = 0;
  #summedBytes = 0;
  #sum = 0;

  /** @param place as long as the data */
  constructor(head: ChunkHead, place: Uint8Array) {
    this.#head = head;
    this.#place = place;
    this.#skipBytes = head.dataBegin;
  }

  take(piece: Uint8Array): void {
    const data = this.#skipBytes === 0 ? piece : piece.subarray(this.#skipBytes);
    this.#skipBytes -= piece.length - data.length;
    this.#place.set(data, this.#at);
    this.#at += data.length;
    if (this.#at - this.#summedBytes >= SUM_BYTES) this.#addToSum();
  }

  end(): TeacherMessage {
    this.#addToSum();
    const chunk = { ...this.#head.chunk, data: this.#place, receivedCrc32c: this.#sum };
    return { kind: 'tensor', chunk };
  }

  #addToSum(): void {
    this.#sum = crc32c(this.#place.subarray(this.#summedBytes, this.#at), this.#sum);
    this.#summedBytes = this.#at;
  }
}
