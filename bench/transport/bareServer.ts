/** grpc-js and nothing on top: the same buffer for every message of a size. */
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { expectBulkBuffers } from '../../services/cli/bulkHeap.js';
import { endWithInput } from '../support/linesOfInput.js';
import { type BytesRequest, PULL } from './bytesService.js';

if (process.argv[2] === 'less garbage') expectBulkBuffers();
const buffers = new Map<number, Buffer>();
const server = new Server({ 'grpc.max_send_message_length': -1 });
server.addService(
  { Pull: PULL },
  { Pull: (call: ServerWritableStream<BytesRequest, Buffer>) => void serve(call) },
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, actual) =>
    error ? reject(error) : resolve(actual),
  );
});
process.stdout.write(`${JSON.stringify({ port })}\n`);
await endWithInput();

async function serve(call: ServerWritableStream<BytesRequest, Buffer>): Promise<void> {
  const { messages, answers } = call.request;
  for (let answer = 0; answer < answers; answer++) {
    for (const bytes of messages) {
      if (!call.write(bufferOf(bytes))) await new Promise((resolve) => call.once('drain', resolve));
    }
  }
  call.end();
}

function bufferOf(bytes: number): Buffer {
  const made = buffers.get(bytes) ?? Buffer.alloc(bytes, 7);
  buffers.set(bytes, made);
  return made;
}
