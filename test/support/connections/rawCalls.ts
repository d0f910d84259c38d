/** Calls and handshakes below gRPC and anything of ours: Node's own TLS and HTTP/2. */
import { X509Certificate } from 'node:crypto';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { TEACHER_SERVICE_NAME } from '../../../src/stream/codec/teacherService.js';
import type { Authority, Pem } from '../certificates/authority.js';

const GET_TEACHER = `/${TEACHER_SERVICE_NAME}/GetTeacher`;

export interface Shown {
  readonly pem?: Pem | undefined;
  readonly session?: Buffer | undefined;
  readonly version?: SecureVersion;
  /** A session that may be resumed. */
  readonly onSession?: (session: Buffer) => void;
}

/** With a server at localhost whose certificate is of `authority`. */
export function handshake(
  port: number,
  authority: Authority,
  { pem, session, version, onSession }: Shown = {},
): Promise<TLSSocket> {
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername: 'localhost', ca: authority.certificate },
    ALPNProtocols: ['h2'],
    ...(pem === undefined ? {} : { cert: pem.certificate, key: pem.key }),
    ...(session === undefined ? {} : { session }),
    ...(version === undefined ? {} : { maxVersion: version }),
  });
  if (onSession !== undefined) socket.on('session', onSession);
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

export function serialOf({ certificate }: Pem): string {
  return new X509Certificate(certificate).serialNumber;
}

/** A connection on which calls are made, one after the other. */
export class RawConnection {
  readonly #session;

  /** A port: in plaintext. */
  constructor(over: TLSSocket | number) {
    this.#session =
      typeof over === 'number'
        ? connectHttp2(`http://127.0.0.1:${over}`)
        : connectHttp2('https://localhost', { createConnection: () => over });
  }

  /** The status of a call with an empty message. */
  callCode(path = GET_TEACHER): Promise<number> {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    return new Promise((resolve, reject) => {
      let code: unknown;
      const read = (headers: IncomingHttpHeaders) => {
        code ??= headers['grpc-status'];
      };
      stream.on('response', read).on('trailers', read).once('error', reject);
      stream.once('close', () => resolve(Number(code)));
      stream.end(Buffer.alloc(5));
      stream.resume();
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** The status of a call with an empty message, over a connection of its own. */
export async function callCode(over: TLSSocket | number, path = GET_TEACHER): Promise<number> {
  const connection = new RawConnection(over);
  try {
    return await connection.callCode(path);
  } finally {
    connection.close();
  }
}
