/**
 * One Distill call on a connection of its own: sends messages, receives messages, ends once. It keeps
 * the server's send credit; its owner interprets the messages.
 */
import { Client, type ClientDuplexStream, status, type StatusObject } from '@grpc/grpc-js';
import { MessagePieces, type PieceSink } from '../../../rpc/calls/messagePieces.js';
import { clientChannelOptions } from '../../../rpc/clientChannel.js';
import { wrapDecoder } from '../../../rpc/grpcInternals.js';
import type { Endpoint } from '../../../rpc/target.js';
import { PROTOCOL_VERSION, TeacherService } from '../../codec/teacherService.js';
import { helloOutputs } from '../helloOutputs.js';
import type { ClientSettings } from '../options.js';
import { ArrivingChunk } from './arrivingChunk.js';
import { encodeRequest, type OutgoingImage, type StudentMessage } from './requestEncoder.js';
import { decodeResponse, type TeacherMessage } from './responseDecoder.js';
import { type ChunkHead, readChunkHead } from './tensorChunk.js';

export interface StreamEvents {
  /**
   * Where a chunk's data shall be written while it arrives: memory of that length, of which nothing else is
   * made before the chunk comes as a message. Undefined: the chunk comes with a view on its bytes.
   */
  place(head: ChunkHead): Uint8Array | undefined;
  onMessage(message: TeacherMessage): void;
  /** Called once, as the last event. Not called if the owner destroyed the stream. */
  onEnd(code: status, details: string): void;
}

const MIB = 1024 * 1024;

/** Larger chunks would block the event loop for too long. */
const MAX_CHUNK_BYTES = 8 * MIB;

/** A message holds one chunk and at most this much besides. */
const MESSAGE_OVERHEAD_BYTES = 64 * 1024;

export class DistillStream {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<StudentMessage, TeacherMessage>;
  readonly #events: StreamEvents;
  readonly #settings: ClientSettings;
  /** Granted and not yet used by the server. */
  #creditBytes = 0;
  #ended = false;

  /** Opens the connection and says hello. The server may not send tensors before it gets credit. */
  constructor(endpoint: Endpoint, settings: ClientSettings, events: StreamEvents) {
    this.#events = events;
    this.#settings = settings;
    const maxReceiveBytes = maxChunkBytes(settings) + MESSAGE_OVERHEAD_BYTES;
    const pieces = new MessagePieces((...head) => this.#arriving(...head), maxReceiveBytes);
    const channel = clientChannelOptions(endpoint, {
      maxReceiveBytes,
      serverName: settings.serverName,
      keepalive: true,
    });
    this.#client = new Client(endpoint.address, settings.credentials(), channel);
    this.#call = this.#client.makeBidiStreamRequest(
      TeacherService.service.Distill.path,
      encodeRequest,
      (bytes) => pieces.taken(bytes) ?? decodeResponse(bytes),
    );
    this.#call.on('metadata', () => wrapDecoder(this.#call, (own) => pieces.decoder(own)));
    this.#call.on('data', (message: TeacherMessage) => this.#receive(message));
    // A failed call emits 'error' and 'status'; the status is enough.
    this.#call.on('error', () => {});
    // Messages that came before the status may still be in the stream's buffer.
    this.#call.on('status', ({ code, details }: StatusObject) =>
      setImmediate(() => this.#end(code, details)),
    );
    this.#call.write({
      hello: {
        protocolVersion: PROTOCOL_VERSION,
        runId: settings.runId,
        outputs: helloOutputs(settings),
        creditBytes: 0,
        maxChunkBytes: maxChunkBytes(settings),
      },
    });
  }

  /**
   * Raises the server's credit to `bytes` of tensors. Call it with the bytes that all open images
   * still lack whenever that may have grown, and after each chunk: an unwanted chunk has used up
   * credit that the others need.
   */
  grantUpTo(bytes: number): void {
    const grant = bytes - this.#creditBytes;
    if (grant <= 0) return;
    this.#creditBytes = bytes;
    this.#write({ creditBytes: grant });
  }

  send(image: OutgoingImage): void {
    this.#write({ image });
  }

  cancel(id: number): void {
    this.#write({ cancel: { id } });
  }

  /** Sends no more images: the server answers those it has and ends the call. */
  finish(): void {
    if (!this.#ended) this.#call.end();
  }

  /** Ends the call at once; no event comes after. */
  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.cancel();
    this.#client.close();
  }

  #write(message: StudentMessage): void {
    if (!this.#ended && this.#call.writable) this.#call.write(message);
  }

  /** Who takes a message of tensor data while it arrives, if that is wanted. */
  #arriving(begin: Uint8Array, messageBytes: number): PieceSink<TeacherMessage> | undefined {
    if (this.#ended) return undefined;
    const head = readChunkHead(begin, messageBytes);
    const place = head && this.#events.place(head);
    return place && new ArrivingChunk(head, place);
  }

  #receive(message: TeacherMessage): void {
    if (this.#ended) return;
    if (message.kind === 'malformed') {
      this.#fail(status.INTERNAL, `message can't be read: ${message.message}`);
    } else if (message.kind !== 'tensor') {
      this.#events.onMessage(message);
    } else {
      const bytes = message.chunk.data.length;
      this.#settings.onReceivedBytes?.(bytes);
      if (bytes > this.#creditBytes) {
        const details = `tensor: ${bytes} bytes sent with a credit of ${this.#creditBytes}`;
        this.#fail(status.RESOURCE_EXHAUSTED, details);
        return;
      }
      this.#creditBytes -= bytes;
      this.#events.onMessage(message);
    }
  }

  /** The peer broke the contract: nothing that follows can be trusted. */
  #fail(code: status, details: string): void {
    if (this.#ended) return;
    this.destroy();
    this.#events.onEnd(code, details);
  }

  #end(code: status, details: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#client.close();
    this.#events.onEnd(code, details);
  }
}

function maxChunkBytes({ maxInflightBytes }: ClientSettings): number {
  return Math.min(maxInflightBytes, MAX_CHUNK_BYTES);
}
