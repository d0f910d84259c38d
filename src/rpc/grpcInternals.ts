/**
 * All code that relies on parts of grpc-js which its types or documentation don't promise. package.json
 * therefore pins the exact version: check each function here before raising it.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Server as NetServer, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import {
  type ChannelCredentials,
  type Server,
  type ServerInterceptingCall,
  type ServerInterceptor,
  status as GrpcStatus,
} from '@grpc/grpc-js';
import type { MessageDecoder } from './calls/messagePieces.js';
import { PartedMessage } from './calls/partedMessage.js';

/** What a channel's connections are secured with; `destroy` is called when the channel is closed. */
export type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** Changes `channel` so that each of its connectors is passed through `wrap`. */
export function wrapConnectors(
  channel: ChannelCredentials,
  wrap: (connector: Connector) => Connector,
): void {
  const create = channel._createSecureConnector.bind(channel);
  channel._createSecureConnector = (...args) => wrap(create(...args));
}

/** The Node.js servers below a bound server, for settings that grpc-js has no option for. */
export function listenersOf(server: Server): NetServer[] {
  const { http2Servers } = server as unknown as { http2Servers: Map<NetServer, unknown> };
  return [...http2Servers.keys()];
}

/**
 * Gives each connection of a server a name, for `getPeer()` of its calls: grpc-js takes the remote address
 * of the socket, which a Unix socket doesn't have.
 */
export function nameConnections(server: NetServer, nextName: () => string): void {
  const name = (socket: Socket) =>
    Object.defineProperty(socket, 'remoteAddress', { value: nextName() });
  // With TLS the socket of the calls is another one, which comes with its own event.
  server.prependListener(server instanceof TlsServer ? 'secureConnection' : 'connection', name);
}

/**
 * Resets the HTTP/2 stream below a server's call. grpc-js offers no way to: a status waits behind the
 * messages. So this follows its private fields, from the call through the interceptors.
 */
export function resetStream(call: object): void {
  let layer = (call as Below).call;
  while (layer !== undefined && layer.stream === undefined) {
    layer = layer.nextCall ?? layer.below;
  }
  layer?.stream?.close(constants.NGHTTP2_CANCEL);
  // Works even if the reset itself can't be sent, because the connection accepts nothing any more.
  layer?.stream?.destroy();
}

interface Below {
  readonly call?: Below;
  /** Of grpc-js' own interceptors; `below`: of ours (calls/callLayer.ts). */
  readonly nextCall?: Below;
  readonly below?: Below;
  readonly stream?: ServerHttp2Stream;
}

/**
 * Makes a paused stream of requests read only one message ahead. grpc-js leaves Node.js's default for
 * streams of objects, 16 messages of any size, and has no option for it.
 */
export function readOneAhead(call: Readable): void {
  const { _readableState } = call as Readable & { _readableState: { highWaterMark: number } };
  _readableState.highWaterMark = 1;
}

/**
 * Passes the bytes that a client's call receives through `wrap`ped decoders. To be called at the call's
 * 'metadata' event: the HTTP/2 stream is there then, and none of its data has been read.
 */
export function wrapDecoder(call: object, wrap: (own: MessageDecoder) => MessageDecoder): void {
  let layer: ClientLayer | undefined = call;
  while (layer !== undefined && layer.decoder === undefined) {
    layer = layer.call ?? layer.nextCall ?? layer.child ?? committed(layer);
  }
  if (layer?.decoder !== undefined) layer.decoder = wrap(layer.decoder);
}

/** From what an application holds down to the call on one connection. */
interface ClientLayer {
  readonly call?: ClientLayer;
  /** Of interceptors. */
  readonly nextCall?: ClientLayer;
  /** Of calls that wait for a name's address, and for a connection. */
  readonly child?: ClientLayer;
  /** Of calls that may be tried again; one of them has been chosen by the time of 'metadata'. */
  readonly underlyingCalls?: readonly ClientLayer[];
  readonly committedCallIndex?: number | null;
  decoder?: MessageDecoder;
}

function committed({ underlyingCalls, committedCallIndex }: ClientLayer): ClientLayer | undefined {
  return underlyingCalls?.[committedCallIndex ?? 0];
}

/**
 * Makes a server's calls send messages from where they are (PartedMessage). grpc-js would copy each behind
 * its header, into memory that is new for every message: for small answers half of a call's processor time.
 * Must come first among the server's interceptors. `grpc.max_send_message_length` has no effect then.
 */
export const sendParts: ServerInterceptor = (_method, call) => {
  const base = call as unknown as BaseCall;
  base.sendMessage = sendMessage;
  // It wraps nothing: what an interceptor returns need only have a call's methods.
  return call as ServerInterceptingCall;
};

/** What a method's `responseSerialize` may return to a server whose calls send parts. */
export function asSerialized(message: PartedMessage): Buffer {
  return message as unknown as Buffer;
}

/** The call below all interceptors. */
interface BaseCall {
  readonly stream: ServerHttp2Stream;
  readonly handler: { serialize(message: unknown): Buffer | PartedMessage };
  checkCancelled(): boolean;
  maybeSendMetadata(): void;
  sendStatus(status: object): void;
  sendMessage(message: unknown, callback: () => void): void;
}

/** As grpc-js' own, but for the copy, the limit and the counts for channelz. */
function sendMessage(this: BaseCall, message: unknown, callback: () => void): void {
  if (this.checkCancelled()) return;
  const fail = (details: string) => {
    this.sendStatus({ code: GrpcStatus.INTERNAL, details, metadata: null });
  };
  let parts: Uint8Array[];
  try {
    parts = framedParts(this.handler.serialize(message));
  } catch {
    fail('Error serializing response');
    return;
  }
  this.maybeSendMetadata();
  const written = (error?: Error | null) => {
    if (error) fail('Internal server error');
    else callback();
  };
  writeParts(this.stream, parts, written);
}

/** Bytes of a message's flag and length. */
const FRAME_BYTES = 5;

/** A message as it goes on the wire. Throws RangeError for one of 4 GiB or more, whose length no frame can state. */
function framedParts(message: Buffer | PartedMessage): Uint8Array[] {
  if (!(message instanceof PartedMessage)) return [framed(message.byteLength, message)];
  return [framed(message.byteLength, message.head), ...message.parts];
}

/** The begin of a message of `bytes` bytes: flag, length and its first bytes. */
function framed(bytes: number, head: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_BYTES + head.length);
  frame[0] = 0;
  frame.writeUInt32BE(bytes, 1);
  frame.set(head, FRAME_BYTES);
  return frame;
}

/** In one write of the connection's; `written` is called once. Takes the list over. */
function writeParts(
  stream: ServerHttp2Stream,
  parts: Uint8Array[],
  written: (error?: Error | null) => void,
): void {
  const last = parts.pop();
  stream.cork();
  for (const part of parts) stream.write(part);
  stream.write(last, written);
  stream.uncork();
}
