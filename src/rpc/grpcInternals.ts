/**
 * All code that relies on parts of grpc-js which its types or documentation don't promise. package.json
 * therefore pins the exact version: check each function here before raising it.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Server as NetServer, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import type { ChannelCredentials, Server } from '@grpc/grpc-js';

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
  let layer = (call as CallLayer).call;
  while (layer !== undefined && layer.stream === undefined) layer = layer.nextCall;
  layer?.stream?.close(constants.NGHTTP2_CANCEL);
  // Works even if the reset itself can't be sent, because the connection accepts nothing any more.
  layer?.stream?.destroy();
}

interface CallLayer {
  readonly call?: CallLayer;
  readonly nextCall?: CallLayer;
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
 * A serialised message of several parts that is copied only once. grpc-js asks a message for its length
 * and copies it behind its own header: this one writes its parts straight into that buffer.
 *
 * @returns a Buffer of which only `byteLength` and `copy` may be used; its own bytes are `head`
 */
export function messageOfParts(head: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const byteLength = parts.reduce((sum, part) => sum + part.length, head.length);
  return Object.defineProperties(head, {
    byteLength: { value: byteLength },
    copy: {
      value: (target: Buffer, targetStart: number) => {
        let at = targetStart;
        target.set(head, at);
        at += head.length;
        for (const part of parts) {
          target.set(part, at);
          at += part.length;
        }
        return byteLength;
      },
    },
  });
}
