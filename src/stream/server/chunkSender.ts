/**
 * Sends the answers of one stream in pieces of whole rows: never beyond the client's credit, and
 * never more than a few MiB ahead of what the connection has taken. It waits alone: other streams
 * have senders of their own, and the event loop is given back after every piece.
 */
import { setImmediate } from 'node:timers/promises';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import type { EncodedOutput } from '../../contract/outputs.js';
import { crc32c } from '../../wire/crc32c.js';
import { DTYPE, OUTPUT } from '../codec/wireNames.js';
import type { OutgoingChunk } from './messages.js';
import type { TeacherServerHooks } from './serving.js';

/** One image's outputs on their way out, or the stream's own. */
export interface Answer {
  /** null: the stream's; on the wire 0. */
  readonly id: number | null;
  readonly attempt: number;
  readonly outputs: readonly EncodedOutput[];
  /** The last piece was handed to gRPC. */
  readonly onSent: () => void;
  /** The connection has taken it. */
  readonly onFlushed: () => void;
}

/** Writes one piece; calls `flushed` when the connection has taken it. */
export type WriteChunk = (chunk: OutgoingChunk, flushed: () => void) => void;

/** gRPC buffers 16 messages of any size before it says no: what is ahead is bounded in bytes. */
const MAX_UNFLUSHED_BYTES = 4 * 1_048_576;

export class ChunkSender {
  readonly #write: WriteChunk;
  readonly #maxChunkBytes: number;
  readonly #hooks: TeacherServerHooks;
  #creditBytes: number;
  #unflushedBytes = 0;
  #answers: Answer[] = [];
  /** Place in the first answer: output and row. */
  #output = 0;
  #row = 0;
  #pumping = false;
  #closed = false;

  constructor(
    write: WriteChunk,
    maxChunkBytes: number,
    creditBytes: number,
    hooks: TeacherServerHooks,
  ) {
    this.#write = write;
    this.#maxChunkBytes = maxChunkBytes;
    this.#creditBytes = creditBytes;
    this.#hooks = hooks;
  }

  /** Bytes that may still be sent. */
  get creditBytes(): number {
    return this.#creditBytes;
  }

  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#wake();
  }

  send(answer: Answer): void {
    this.#answers.push(answer);
    this.#wake();
  }

  /** Forgets what is unsent of an answer. */
  drop(id: number): void {
    if (this.#answers[0]?.id === id) this.#rewind();
    this.#answers = this.#answers.filter((answer) => answer.id !== id);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#answers = [];
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  /** Ends when there is nothing that may be sent now; grant, send and flushes start it again. */
  async #pump(): Promise<void> {
    try {
      while (!this.#closed && this.#unflushedBytes < MAX_UNFLUSHED_BYTES) {
        const answer = this.#answers[0];
        const chunk = answer && this.#nextChunk(answer);
        if (!chunk) return;
        const isLast = this.#advance(answer, chunk.rowEnd);
        this.#writeOut(chunk, isLast ? answer.onFlushed : undefined);
        if (isLast) answer.onSent();
        await setImmediate();
      }
    } finally {
      this.#pumping = false;
    }
  }

  #writeOut(chunk: OutgoingChunk, onFlushed?: () => void): void {
    const bytes = chunk.data.length;
    this.#creditBytes -= bytes;
    this.#unflushedBytes += bytes;
    this.#write(chunk, () => {
      this.#unflushedBytes -= bytes;
      if (!this.#closed) onFlushed?.();
      this.#wake();
    });
  }

  /** Undefined when the credit doesn't hold one row. */
  #nextChunk(answer: Answer): OutgoingChunk | undefined {
    const { output, tensor } = outputAt(answer, this.#output);
    const rows = rowCount(tensor);
    const rowBytes = tensor.data.byteLength / rows;
    const roomBytes = Math.min(this.#maxChunkBytes, this.#creditBytes);
    const rowEnd = Math.min(rows, this.#row + Math.floor(roomBytes / rowBytes));
    if (rowEnd <= this.#row) return undefined;
    const begin = this.#row * rowBytes;
    const data = Buffer.from(tensor.data, begin, rowEnd * rowBytes - begin);
    this.#hooks.onSent(tensor.dtype, data.length);
    return {
      id: answer.id ?? 0,
      attempt: answer.attempt,
      output: OUTPUT.toWire[output],
      dtype: DTYPE.toWire[tensor.dtype],
      shape: [...tensor.shape],
      rowBegin: this.#row,
      rowEnd,
      crc32c: crc32c(data),
      data,
    };
  }

  /** Whether that was the last row of the last output. */
  #advance(answer: Answer, rowEnd: number): boolean {
    this.#row = rowEnd;
    if (rowEnd < rowCount(outputAt(answer, this.#output).tensor)) return false;
    this.#row = 0;
    this.#output += 1;
    if (this.#output < answer.outputs.length) return false;
    this.#rewind();
    this.#answers.shift();
    return true;
  }

  #rewind(): void {
    this.#output = 0;
    this.#row = 0;
  }
}

function outputAt(answer: Answer, index: number): EncodedOutput {
  return answer.outputs[index] as EncodedOutput;
}

function rowCount(tensor: EncodedTensor): number {
  return tensor.shape[0] ?? 1;
}
