/** A teacher server that speaks the Open Inference Protocol, too, on a free port. */
import type { Encoding } from '../../../src/contract/outputs.js';
import { TeacherInferenceService } from '../../../src/oip/server/inferenceService.js';
import type { BatchPolicy } from '../../../src/stream/server/requestQueue.js';
import type {
  InferenceEngine,
  ServerLimits,
  TeacherServerHooks,
} from '../../../src/stream/server/serving.js';
import type { TeacherServerOptions } from '../../../src/stream/server/teacherServer.js';
import { startTestServer, type TestServer, testLimits } from '../teachers/teacherServer.js';

export interface OipTestServer extends TestServer {
  /** `method code` of each request that has ended, in order. */
  readonly requests: string[];
  readonly unexpected: unknown[];
}

export interface OipServerChoices {
  readonly limits?: Partial<ServerLimits>;
  readonly batch?: BatchPolicy;
  readonly encodings?: readonly Encoding[];
  readonly hooks?: Partial<TeacherServerHooks>;
  readonly server?: Partial<
    Pick<TeacherServerOptions, 'answerCache' | 'credentials' | 'interceptors' | 'healthPort'>
  >;
}

/** Serves `engine` at once; without one the server stays in its loading state. */
export async function startOipServer(
  engine: InferenceEngine | undefined,
  choices: OipServerChoices = {},
): Promise<OipTestServer> {
  const requests: string[] = [];
  const unexpected: unknown[] = [];
  const encodings = choices.encodings ?? ['fp32', 'fp16'];
  const batch = choices.batch ?? { maxImages: 1, maxDelayMs: 0 };
  const limits = { ...testLimits, ...choices.limits };
  const service = new TeacherInferenceService({
    ...{ modelName: 'cirkd', serverVersion: '1.2.3', limits, encodings, batch },
    onRequest: (method, code) => requests.push(`${method} ${code}`),
    onUnexpected: (error) => unexpected.push(error),
  });
  const server = await startTestServer(engine, limits, batch, choices.hooks, {
    ...{ encodings, services: [service] },
    ...choices.server,
  });
  return { ...server, requests, unexpected };
}
