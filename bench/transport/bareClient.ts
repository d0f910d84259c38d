/** grpc-js and nothing on top: counts the bytes that come. */
import { Client, credentials } from '@grpc/grpc-js';
import { expectBulkBuffers } from '../../services/cli/bulkHeap.js';
import { answerRequests } from '../support/linesOfInput.js';
import { type BytesRequest, PULL, WINDOW_BYTES } from './bytesService.js';
import type { RunAnswer } from './answerClient.js';

if (process.argv[3] === 'less garbage') expectBulkBuffers();
const client = new Client(process.argv[2]!, credentials.createInsecure(), {
  'grpc-node.flow_control_window': WINDOW_BYTES,
  'grpc.max_receive_message_length': -1,
});

process.stdout.write('{}\n');
await answerRequests(async (request: BytesRequest): Promise<RunAnswer> => {
  const begin = performance.now();
  const got = await pull(request);
  const ms = performance.now() - begin;
  const wanted = request.answers * request.messages.reduce((sum, bytes) => sum + bytes, 0);
  if (got !== wanted) throw new Error(`${got} bytes came, wanted ${wanted}`);
  return { ms };
});

function pull(request: BytesRequest): Promise<number> {
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
