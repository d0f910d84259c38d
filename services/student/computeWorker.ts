/** The student's computing thread: network, losses, banks, optimizer. It answers calls in order. */
import { parentPort } from 'node:worker_threads';
import { computeInBackground } from '../../src/data/threadPriority.js';
import { ComputeSession } from './computeSession.js';
import {
  type AnswerMessage,
  type CallMessage,
  type StateFiles,
  stateBuffers,
} from './computeProtocol.js';

const port = parentPort;
if (port === null) throw new Error('computeWorker: to be started as a worker thread');

computeInBackground();
const session = new ComputeSession();

port.on('message', ({ call, args }: CallMessage) => {
  try {
    const handler = session[call] as (...given: unknown[]) => unknown;
    const result = handler.apply(session, [...args]);
    port.postMessage({ result } satisfies AnswerMessage, transferable(call, result));
  } catch (thrown) {
    const error = thrown as Error;
    const { name, message, stack = '' } = error;
    port.postMessage({ error: { name, message, stack } } satisfies AnswerMessage);
  }
});

/** A snapshot's buffers move to the main thread; everything else is small and copied. */
function transferable(call: CallMessage['call'], result: unknown): ArrayBuffer[] {
  return call === 'snapshot' ? stateBuffers(result as StateFiles) : [];
}
