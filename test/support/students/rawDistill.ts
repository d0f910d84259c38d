/**
 * Distill over bare HTTP/2: the frames of a call as a test wants them, and what the call ended
 * with. No gRPC library is in between that could mend or refuse anything.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2';

export interface CallEnd {
  /** grpc-status of the trailers, or of a response that is trailers alone; null: none came. */
  readonly status: number | null;
  readonly text: string;
  readonly receivedBytes: number;
}

export const DISTILL_PATH = '/cirkd.teacher.v1.TeacherService/Distill';

/** A message in gRPC's frame: a byte for compression, four for the length. */
export function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** An open connection; rejects where there can be none. */
export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject));
  session.on('error', () => {});
  return session;
}

/** A call whose request is still to be written. */
export function openCall(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  return stream.on('error', () => {});
}

/** Calls back with each message that comes, without its frame. */
export function onMessages(stream: ClientHttp2Stream, callback: (message: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  stream.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      callback(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
  });
}

/** One call with these bytes as its whole request. */
export function callWith(
  session: ClientHttp2Session,
  body: Uint8Array,
  path = DISTILL_PATH,
): Promise<CallEnd> {
  const stream = openCall(session, path);
  let ending: IncomingHttpHeaders = {};
  let receivedBytes = 0;
  const keep = (headers: IncomingHttpHeaders) => {
    if ('grpc-status' in headers) ending = headers;
  };
  stream.on('response', keep);
  stream.on('trailers', keep);
  stream.on('data', (bytes: Buffer) => {
    receivedBytes += bytes.length;
  });
  stream.end(body);
  return new Promise((resolve) => {
    stream.once('close', () => {
      const status = ending['grpc-status'];
      resolve({
        status: status === undefined ? null : Number(status),
        text: decodeURIComponent(String(ending['grpc-message'] ?? '')),
        receivedBytes,
      });
    });
  });
}
