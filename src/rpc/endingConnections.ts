/**
 * Connections that end with their channel. grpc-js waits forever for the first bytes of a peer that
 * has stopped, in TLS and again in HTTP/2, and forgets the socket when the channel is closed
 * meanwhile, so each attempt would leak one.
 */
import type { Socket } from 'node:net';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Connector, wrapConnectors } from './grpcInternals.js';

/** Long enough for a closed channel to send its remaining frames. */
const FLUSH_GRACE_MS = 1000;

/** The same credentials; close a channel that uses them only after the last of its calls. */
export function endingConnections(channel: ChannelCredentials): ChannelCredentials {
  wrapConnectors(channel, trackSockets);
  return channel;
}

/** Credentials with neither TLS nor a token. */
export function plaintext(): ChannelCredentials {
  return endingConnections(credentials.createInsecure());
}

function trackSockets(connector: Connector): Connector {
  /** Sockets in the TLS handshake. */
  const handshaking = new Set<Socket>();
  /** Sockets handed to HTTP/2, whether it has begun or not. */
  const handedOver = new Set<Socket>();
  let closed = false;
  return {
    waitForReady: () => connector.waitForReady(),
    getCallCredentials: () => connector.getCallCredentials(),
    async connect(socket) {
      // The channel was closed before the socket was connected.
      if (closed) throw new Error('closed');
      handshaking.add(socket);
      try {
        const secured = await connector.connect(socket);
        handedOver.add(secured.socket);
        secured.socket.once('close', () => handedOver.delete(secured.socket));
        return secured;
      } finally {
        handshaking.delete(socket);
      }
    },
    destroy() {
      closed = true;
      for (const socket of handshaking) socket.destroy();
      for (const socket of handedOver) destroyAfter(socket, FLUSH_GRACE_MS);
      connector.destroy();
    },
  };
}

function destroyAfter(socket: Socket, graceMs: number): void {
  const timer = setTimeout(() => socket.destroy(), graceMs).unref();
  socket.once('close', () => clearTimeout(timer));
}
