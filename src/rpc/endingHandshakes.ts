/**
 * TLS handshakes that end with their channel. grpc-js waits for ever for the answer of a peer that
 * has stopped, and forgets the socket when the channel is closed meanwhile: each try would leave one.
 */
import type { Socket } from 'node:net';
import type { ChannelCredentials } from '@grpc/grpc-js';

type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** The same credentials. */
export function endingHandshakes(channel: ChannelCredentials): ChannelCredentials {
  const create = channel._createSecureConnector.bind(channel);
  channel._createSecureConnector = (...args) => ending(create(...args));
  return channel;
}

function ending(connector: Connector): Connector {
  const underWay = new Set<Socket>();
  let over = false;
  return {
    waitForReady: () => connector.waitForReady(),
    getCallCredentials: () => connector.getCallCredentials(),
    async connect(socket) {
      // The channel was closed before the socket was there.
      if (over) throw new Error('closed');
      underWay.add(socket);
      try {
        return await connector.connect(socket);
      } finally {
        underWay.delete(socket);
      }
    },
    destroy() {
      over = true;
      for (const socket of underWay) socket.destroy();
      connector.destroy();
    },
  };
}
