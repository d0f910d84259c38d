/** The student's side: asks for images and makes tensors of the answers in a computing thread. */
import type { Worker } from 'node:worker_threads';
import { expectBulkBuffers } from '../../services/cli/bulkHeap.js';
import { startThread } from '../../src/data/startThread.js';
import type { TeacherImage, TeacherReply } from '../../src/distill/teacher.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/remoteTeacher.js';
import type { EncodedTensor } from '../../src/wire/encodedTensor.js';
import { answerRequests } from '../support/linesOfInput.js';
import { type AnswerSize, STEP_IMAGES, type WireCase } from './cases.js';

export interface RunRequest {
  readonly wireCase: WireCase;
  readonly images: number;
}

export interface RunAnswer {
  /** From the first request to the last tensor. */
  readonly ms: number;
}

/** The student's defaults. */
const MAX_INFLIGHT_BYTES = 1024 * 2 ** 20;
const TIMEOUT_MS = 60_000;
/** Images asked for and not yet tensors: what is under way, and what waits for the thread. */
const AHEAD_IMAGES = 12;

expectBulkBuffers();
const [address, size] = [process.argv[2]!, JSON.parse(process.argv[3]!) as AnswerSize];
const teachers = new Map<string, RemoteTeacher>();
const thread = startThread(import.meta.url, './decodeThread.ts', null);
const image = {
  ...{ sample: 'made', augmentationSeed: 0n, height: size.height, width: size.width },
  rgb: new Uint8Array(size.height * size.width * 3).fill(7),
};

process.stdout.write('{}\n');
await answerRequests(async ({ wireCase, images }: RunRequest): Promise<RunAnswer> => {
  const teacher = await teacherFor(wireCase);
  await call(thread, { classifier: teacher.classifier });
  const begin = performance.now();
  await run(teacher, images);
  return { ms: performance.now() - begin };
});

/** Keeps AHEAD_IMAGES under way; each STEP_IMAGES answers become tensors together. */
async function run(teacher: RemoteTeacher, images: number): Promise<void> {
  const ahead: Promise<TeacherReply>[] = [];
  let decoded: Promise<void> = Promise.resolve();
  for (let asked = 0; ahead.length > 0 || asked < images; ) {
    while (asked < images && ahead.length < AHEAD_IMAGES) {
      ahead.push(teacher.request(image as TeacherImage));
      asked += 1;
    }
    const replies = await Promise.all(ahead.splice(0, STEP_IMAGES));
    // One batch waits while one is decoded.
    await decoded;
    decoded = call(thread, { replies }, replies.flatMap(buffersOf));
  }
  await decoded;
}

function call(worker: Worker, message: object, moved: ArrayBuffer[] = []): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', () => {
      worker.off('error', reject);
      resolve();
    });
    worker.once('error', reject);
    worker.postMessage(message, moved);
  });
}

async function teacherFor(wireCase: WireCase): Promise<RemoteTeacher> {
  const key = JSON.stringify(wireCase);
  const open = teachers.get(key);
  if (open !== undefined) return open;
  const teacher = await connectTeachers({
    ...wireCase,
    addresses: [address],
    runId: 'bench',
    expected: { outputStride: 1 },
    requestTimeoutMs: TIMEOUT_MS,
    teacherTimeoutMs: TIMEOUT_MS,
    maxInflightBytes: MAX_INFLIGHT_BYTES,
    jitter: () => 0.5,
  });
  teachers.set(key, teacher);
  return teacher;
}

function buffersOf({ logits, embedding, embeddingScale, featureNorm }: TeacherReply) {
  const tensors: (EncodedTensor | null)[] = [logits, embedding, embeddingScale, featureNorm];
  return tensors.flatMap((tensor) => (tensor === null ? [] : [tensor.data]));
}
