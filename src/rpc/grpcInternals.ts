/**
 * All that rests on parts of grpc-js that its types or its documentation don't promise. package.json
 * pins the version exactly for their sake: look at each of these before it is raised.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Server as NetServer } from 'node:net';
import type { ChannelCredentials, Server } from '@grpc/grpc-js';

/** What a channel's connections are secured with; `destroy` is called when the channel is closed. */
export type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** Changes `channel`: its connectors are those that `wrap` makes of its own. */
export function wrapConnectors(
  channel: ChannelCredentials,
  wrap: (connector: Connector) => Connector,
): void {
  const create = channel._createSecureConnector.bind(channel);
  channel._createSecureConnector = (...args) => wrap(create(...args));
}

/** Node's servers below a server that is bound: grpc-js has no option for what is set on them. */
export function listenersOf(server: Server): NetServer[] {
  const { http2Servers } = server as unknown as { http2Servers: Map<NetServer, unknown> };
  return [...http2Servers.keys()];
}

/**
 * Resets the HTTP/2 stream below a server's call. grpc-js has no way of its own: a status waits behind
 * the messages. So this follows its private fields, from the call through the interceptors.
 */
export function resetStream(call: object): void {
  let layer = (call as CallLayer).call;
  while (layer !== undefined && layer.stream === undefined) layer = layer.nextCall;
  layer?.stream?.close(constants.NGHTTP2_CANCEL);
  // Also where the reset itself can't be sent, on a connection that takes nothing any more.
  layer?.stream?.destroy();
}

interface CallLayer {
  readonly call?: CallLayer;
  readonly nextCall?: CallLayer;
  readonly stream?: ServerHttp2Stream;
}

/**
 * A serialised message of two parts that is copied once. grpc-js asks a message for its length and
 * copies it behind a header of its own: this one writes both parts into their places.
 *
 * @returns a Buffer of which only `byteLength` and `copy` may be used; its own bytes are `head`
 */
export function messageOfParts(head: Buffer, data: Buffer): Buffer {
  return Object.defineProperties(head, {
    byteLength: { value: head.length + data.length },
    copy: {
      value: (target: Buffer, targetStart: number) => {
        target.set(head, targetStart);
        target.set(data, targetStart + head.length);
        return head.length + data.length;
      },
    },
  });
}
