/** A real teacher server on a free port, with limits that a test can change. */

import type { BatchPolicy } from '../../../src/stream/server/requestQueue.js';
import {
  type InferenceEngine,
  type ServerLimits,
  silentHooks,
  type TeacherServerHooks,
} from '../../../src/stream/server/serving.js';
import {
  TeacherServer,
  type TeacherServerOptions,
} from '../../../src/stream/server/teacherServer.js';
import { DistillPeer } from '../students/distillPeer.js';

export const testLimits: ServerLimits = {
  maxQueueImages: 16,
  maxQueueBytes: 1_000_000,
  maxImagePixels: 64 * 64,
  maxStreams: 4,
  maxInflightImages: 16,
  maxMessageBytes: 65_536,
  uploadCreditBytes: 1_000_000,
  chunkBytes: 65_536,
  maxAnswerBytes: 100_000_000,
  requestTimeoutMs: 60_000,
  helloTimeoutMs: 60_000,
  closeGraceMs: 5000,
};

export interface TestServer {
  readonly server: TeacherServer;
  readonly port: number;
  readonly healthPort: number | null;
  /** What hooks were told, in order. */
  readonly answers: string[];
  /** Images waiting now. */
  readonly waiting: () => number;
}

type ServerChoices = Pick<
  TeacherServerOptions,
  | 'answerCache'
  | 'credentials'
  | 'interceptors'
  | 'healthPort'
  | 'encodings'
  | 'tapChunks'
  | 'socket'
  | 'services'
>;

const started = new Set<TeacherServer>();

/** Ends every server and peer of this process: for afterEach, so that a failed test leaves none. */
export async function closeTestServers(): Promise<void> {
  DistillPeer.closeAll();
  const servers = [...started];
  started.clear();
  await Promise.all(servers.map((server) => server.drain(0)));
}

/** Serves `engine` at once; without one the server stays in its loading state. */
export async function startTestServer(
  engine: InferenceEngine | undefined,
  limits: Partial<ServerLimits> = {},
  batch: BatchPolicy = { maxImages: 1, maxDelayMs: 0 },
  hooks: Partial<TeacherServerHooks> = {},
  options: Partial<ServerChoices> = {},
): Promise<TestServer> {
  const answers: string[] = [];
  let waiting = 0;
  const server = new TeacherServer({
    host: '127.0.0.1',
    port: 0,
    limits: { ...testLimits, ...limits },
    encodings: ['fp32', 'fp16'],
    ...options,
    batch,
    hooks: {
      ...silentHooks,
      onAnswer: (code) => answers.push(code),
      onQueueSize: (images) => {
        waiting = images;
      },
      ...hooks,
    },
  });
  started.add(server);
  const { port, healthPort } = await server.listen();
  if (engine) server.serve(engine);
  return { server, port: port!, healthPort, answers, waiting: () => waiting };
}
