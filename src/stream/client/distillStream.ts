/**
 * One Distill call on a connection of its own: messages out, messages in, one end. It keeps the
 * account of the bytes that the server may send; what the messages mean is its owner's business.
 */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  status,
  type StatusObject,
} from '@grpc/grpc-js';
import type { Endpoint } from '../../rpc/target.js';
import { PROTOCOL_VERSION, TeacherService } from '../codec/teacherService.js';
import { type ClientSettings, helloOutputs } from './options.js';
import { encodeRequest, type OutgoingImage, type StudentMessage } from './requestEncoder.js';
import { decodeResponse, type TeacherMessage } from './responseDecoder.js';

export interface StreamEvents {
  onMessage(message: TeacherMessage): void;
  /** Once, and nothing after it. Not called when the owner destroyed the stream. */
  onEnd(code: status, details: string): void;
}

const MIB = 1024 * 1024;

/** Larger pieces would hold the event loop for too long at a time. */
const MAX_CHUNK_BYTES = 8 * MIB;

/** Messages are a chunk and less than this of everything else. */
const MESSAGE_OVERHEAD_BYTES = 64 * 1024;

export class DistillStream {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<StudentMessage, TeacherMessage>;
  readonly #events: StreamEvents;
  readonly #settings: ClientSettings;
  /** Granted and not yet used by the server. */
  #creditBytes = 0;
  #ended = false;

  /** Opens the connection and says hello. The server may send no tensor before it is granted. */
  constructor(endpoint: Endpoint, settings: ClientSettings, events: StreamEvents) {
    this.#events = events;
    this.#settings = settings;
    const { address } = endpoint;
    this.#client = new Client(address, settings.credentials(), channelOptions(endpoint, settings));
    this.#call = this.#client.makeBidiStreamRequest(
      TeacherService.service.Distill.path,
      encodeRequest,
      decodeResponse,
    );
    this.#call.on('data', (message: TeacherMessage) => this.#receive(message));
    // A failed call emits both; its status says it all.
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
   * Lets the server send `bytes` of tensors, what it may send already included. Call it with all
   * that the open images still lack whenever that may be more than before, and after each chunk: one
   * that nobody waited for has used up credit of the others.
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

  /** No more images: the server answers what it has and ends the call. */
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

function channelOptions({ name }: Endpoint, settings: ClientSettings): ChannelOptions {
  // A certificate is for a name, not for the number that DNS gave.
  const serverName = settings.serverName ?? name?.host;
  return {
    // What stands behind a name is called by it, as if gRPC had looked it up.
    ...(name === undefined ? {} : { 'grpc.default_authority': `${name.host}:${name.port}` }),
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
    // The default of 64 KiB halves the throughput of large messages.
    'grpc-node.flow_control_window': 8 * MIB,
    'grpc.max_receive_message_length': maxChunkBytes(settings) + MESSAGE_OVERHEAD_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // Failures are answered above: another teacher, back-off, a new connection. gRPC's own
    // retries would only keep copies of the images.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    // Teachers are peers inside a cluster, not sites behind the web proxy of the environment.
    'grpc.enable_http_proxy': 0,
  };
}
