/** Serves GET /metrics over plain HTTP. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { bareHost, hostAndPort } from '../contract/hostAddress.js';

/** How long a scrape in progress may take after the server has been told to close. */
const CLOSE_GRACE_MS = 1000;

export interface MetricsServer {
  /** The actual port, also if 0 was requested. */
  readonly port: number;
  /** http://host:port/metrics */
  readonly url: string;
  /** Stops listening; connections with a scrape in progress are closed after a second. */
  close(): Promise<void>;
}

/** The address can't be listened on; the message names it. Exit code 2. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Serves a registry. Port 0: any free port. Throws ListenError, e.g. if the port is in use. */
export async function startMetricsServer(options: {
  readonly registry: Registry;
  readonly host: string;
  readonly port: number;
}): Promise<MetricsServer> {
  const { registry, host, port } = options;
  const server = createServer((request, response) => {
    answer(registry, request, response).catch(() => response.destroy());
  });
  await listen(server, host, port);
  const bound = server.address() as AddressInfo;
  return {
    port: bound.port,
    url: `http://${hostAndPort(bound.address, bound.port)}/metrics`,
    close: () => close(server),
  };
}

async function answer(
  registry: Registry,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?')[0];
  if (path !== '/metrics') {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('404: only /metrics is served\n');
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response
      .writeHead(405, { 'content-type': 'text/plain', allow: 'GET, HEAD' })
      .end('405: only GET\n');
  } else {
    const body = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
      reject(new ListenError(`metrics: cannot listen on ${hostAndPort(host, port)}: ${why}`));
    });
    server.listen(port, bareHost(host), resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    // close() itself closes idle keep-alive connections.
    server.close(() => {
      clearTimeout(grace);
      resolve();
    });
  });
}
