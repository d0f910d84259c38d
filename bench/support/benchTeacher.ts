/** A student's connection to teachers, with the student's defaults. */
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import type { TeacherProtocol } from '../../src/stream/client/conversation.js';
import type { ClientOptions } from '../../src/stream/client/options.js';

const MAX_INFLIGHT_BYTES = 1024 * 2 ** 20;
const TIMEOUT_MS = 60_000;

export function connectBench(
  addresses: readonly string[],
  options: Pick<ClientOptions, 'encoding' | 'logits' | 'expected'>,
  protocols: readonly TeacherProtocol[] = [],
): Promise<RemoteTeacher> {
  const client = {
    ...options,
    addresses,
    runId: 'bench',
    requestTimeoutMs: TIMEOUT_MS,
    teacherTimeoutMs: TIMEOUT_MS,
    maxInflightBytes: MAX_INFLIGHT_BYTES,
    jitter: () => 0.5,
  };
  return connectTeachers(client, undefined, protocols);
}
