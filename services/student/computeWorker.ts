/** The student's computing thread: network, losses, banks, optimizer. It answers calls in order. */
import { parentPort } from 'node:worker_threads';
import { computeInBackground } from '../../src/data/threadPriority.js';
import { ComputeSession } from './computeSession.js';
import type { AnswerMessage, CallMessage } from './computeProtocol.js';

const port = parentPort;
if (port === null) throw new Error('computeWorker: to be started as a worker thread');

computeInBackground();
const session = new ComputeSession();

port.on('message', ({ call, args }: CallMessage) => {
  try {
    const handler = session[call] as (...given: unknown[]) => unknown;
    const result = handler.apply(session, [...args]);
    port.postMessage({ result } satisfies AnswerMessage, transferable(result));
  } catch (thrown) {
    const error = thrown as Error;
    const { name, message, stack = '' } = error;
    port.postMessage({ error: { name, message, stack } } satisfies AnswerMessage);
  }
});

/** Buffers of a snapshot move to the main thread instead of being copied. */
function transferable(result: unknown): ArrayBuffer[] {
  if (result === null || typeof result !== 'object' || !('student' in result)) return [];
  const buffers = new Set<ArrayBuffer>();
  for (const file of Object.values(
    result as Record<string, { tensors: Map<string, { data: Uint8Array }> }>,
  )) {
    for (const { data } of file.tensors.values()) buffers.add(data.buffer as ArrayBuffer);
  }
  return [...buffers];
}
