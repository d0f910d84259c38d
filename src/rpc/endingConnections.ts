/**
 * Connections that end with their channel. grpc-js waits for ever for the first word of a peer that
 * has stopped, in TLS and again in HTTP/2, and forgets the socket when the channel is closed
 * meanwhile: each try would leave one.
 */
import type { Socket } from 'node:net';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Connector, wrapConnectors } from './grpcInternals.js';

/** What a channel that is closed has still to say takes less. */
const LAST_WORDS_MS = 1000;

/** The same credentials; a channel of theirs is to be closed only after the last of its calls. */
export function endingConnections(channel: ChannelCredentials): ChannelCredentials {
  wrapConnectors(channel, ending);
  return channel;
}

/** Neither TLS nor a token. */
export function plaintext(): ChannelCredentials {
  return endingConnections(credentials.createInsecure());
}

function ending(connector: Connector): Connector {
  /** In TLS' handshake. */
  const underWay = new Set<Socket>();
  /** With HTTP/2, whether it has begun or not. */
  const handedOver = new Set<Socket>();
  let over = false;
  return {
    waitForReady: () => connector.waitForReady(),
    getCallCredentials: () => connector.getCallCredentials(),
    async connect(socket) {
      // The channel was closed before the socket was there.
      if (over) throw new Error('closed');
      underWay.add(socket);
      try {
        const secured = await connector.connect(socket);
        handedOver.add(secured.socket);
        secured.socket.once('close', () => handedOver.delete(secured.socket));
        return secured;
      } finally {
        underWay.delete(socket);
      }
    },
    destroy() {
      over = true;
      for (const socket of underWay) socket.destroy();
      for (const socket of handedOver) destroyAfter(socket, LAST_WORDS_MS);
      connector.destroy();
    },
  };
}

function destroyAfter(socket: Socket, graceMs: number): void {
  const timer = setTimeout(() => socket.destroy(), graceMs).unref();
  socket.once('close', () => clearTimeout(timer));
}
