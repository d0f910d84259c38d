/** The student's side: asks for images and makes tensors of the answers in a computing thread. */
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import type { TeacherImage, TeacherReply } from '../../src/contract/teacher.js';
import type { RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { connectBench } from '../support/benchTeacher.js';
import { startDecoder } from '../support/decoder.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import { type AnswerSize, STEP_IMAGES, type WireCase } from './cases.js';

export interface RunRequest {
  readonly wireCase: WireCase;
  readonly images: number;
}

export interface RunAnswer {
  /** From the first request to the last tensor. */
  readonly ms: number;
}

/** Images asked for and not yet tensors: what is under way, and what waits for the thread. */
const AHEAD_IMAGES = 12;

expectBulkBuffers();
const [address, size] = [process.argv[2]!, JSON.parse(process.argv[3]!) as AnswerSize];
const teachers = new Map<string, RemoteTeacher>();
const thread = startDecoder();
const image = {
  ...{ sample: 'made', augmentationSeed: 0n, height: size.height, width: size.width },
  rgb: new Uint8Array(size.height * size.width * 3).fill(7),
};

sendLine({});
await answerRequests(async ({ wireCase, images }: RunRequest): Promise<RunAnswer> => {
  const teacher = await teacherFor(wireCase);
  await thread.setup(teacher.classifier);
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
    decoded = thread.decode(replies, 0);
  }
  await decoded;
}

async function teacherFor(wireCase: WireCase): Promise<RemoteTeacher> {
  const key = JSON.stringify(wireCase);
  const open = teachers.get(key);
  if (open !== undefined) return open;
  const teacher = await connectBench([address], { ...wireCase, expected: { outputStride: 1 } });
  teachers.set(key, teacher);
  return teacher;
}
