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
  return {
    waitForReady: () => connector.waitForReady(),
    getCallCredentials: () => connector.getCallCredentials(),
    async connect(socket) {
      underWay.add(socket);
      try {
        return await connector.connect(socket);
      } finally {
        underWay.delete(socket);
      }
    },
    destroy() {
      for (const socket of underWay) socket.destroy();
      connector.destroy();
    },
  };
}
