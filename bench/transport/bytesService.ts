/** The service of both peers: a server stream of bytes, as many and as large as is asked for. */
import type { MethodDefinition } from '@grpc/grpc-js';

export interface BytesRequest {
  /** Bytes of the messages of one answer. */
  readonly messages: readonly number[];
  readonly answers: number;
}

export const PULL: MethodDefinition<BytesRequest, Buffer> = {
  path: '/cirkd.bench.Bytes/Pull',
  requestStream: false,
  responseStream: true,
  requestSerialize: (request) => Buffer.from(JSON.stringify(request)),
  requestDeserialize: (bytes) => JSON.parse(bytes.toString()) as BytesRequest,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
};

/** As the student's own connections. */
export const WINDOW_BYTES = 8 * 2 ** 20;
