/**
 * grpc-js and nothing on top: a server of bytes, as many and as large as is asked for, the same buffer for
 * every message of a size; or a client that counts them.
 *
 *     bareSide.ts serve|ADDRESS ['less garbage']
 */
import {
  Client,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import { answerRequests, endWithInput, sendLine } from '../support/linesOfInput.js';
import type { RunAnswer } from './answerClient.js';

interface BytesRequest {
  /** Bytes of the messages of one answer. */
  readonly messages: readonly number[];
  readonly answers: number;
}

/** Of the peer in Python, too. */
const PULL: MethodDefinition<BytesRequest, Buffer> = {
  path: '/cirkd.bench.Bytes/Pull',
  requestStream: false,
  responseStream: true,
  requestSerialize: (request) => Buffer.from(JSON.stringify(request)),
  requestDeserialize: (bytes) => JSON.parse(bytes.toString()) as BytesRequest,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
};
/** As the student's own connections. */
const WINDOW_BYTES = 8 * 2 ** 20;

const [role, heap] = process.argv.slice(2);
if (heap === 'less garbage') expectBulkBuffers();
await (role === 'serve' ? serve() : pullFrom(role!));

async function serve(): Promise<never> {
  const buffers = new Map<number, Buffer>();
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  const answer = (call: ServerWritableStream<BytesRequest, Buffer>) => void send(call, buffers);
  server.addService({ Pull: PULL }, { Pull: answer });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, actual) =>
      error ? reject(error) : resolve(actual),
    );
  });
  sendLine({ port });
  return endWithInput();
}

async function send(
  call: ServerWritableStream<BytesRequest, Buffer>,
  buffers: Map<number, Buffer>,
): Promise<void> {
  const { messages, answers } = call.request;
  for (let answer = 0; answer < answers; answer++) {
    for (const bytes of messages) {
      const buffer = buffers.get(bytes) ?? Buffer.alloc(bytes, 7);
      buffers.set(bytes, buffer);
      if (!call.write(buffer)) await new Promise((resolve) => call.once('drain', resolve));
    }
  }
  call.end();
}

function pullFrom(address: string): Promise<never> {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc-node.flow_control_window': WINDOW_BYTES,
    'grpc.max_receive_message_length': -1,
  });
  sendLine({});
  return answerRequests(async (request: BytesRequest): Promise<RunAnswer> => {
    const begin = performance.now();
    const got = await pull(client, request);
    const ms = performance.now() - begin;
    const wanted = request.answers * request.messages.reduce((sum, bytes) => sum + bytes, 0);
    if (got !== wanted) throw new Error(`${got} bytes came, wanted ${wanted}`);
    return { ms };
  });
}

function pull(client: Client, request: BytesRequest): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = PULL;
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  return new Promise((resolve, reject) => {
    let bytes = 0;
    call.on('data', (message: Buffer) => {
      bytes += message.length;
    });
    call.once('error', reject);
    call.once('end', () => resolve(bytes));
  });
}
