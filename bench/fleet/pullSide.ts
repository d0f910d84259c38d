/**
 * A student without a network: takes answers of a fleet as fast as they come, or step by step. Its argument is
 * the fleet's SimulatedSize as JSON.
 */
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import type { RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { Feed, teacherImages } from '../../src/train/feed.js';
import { runLoop, type StepReport } from '../../src/train/loop.js';
import { connectBench } from '../support/benchTeacher.js';
import { startDecoder } from '../support/decoder.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import { madeBatches, STEP_IMAGES } from './madeBatches.js';
import type { SimulatedSize } from './teachers.js';

export type PullRequest =
  /** As many images as teachers can: from the first full round of answers to the last but one. */
  | { readonly do: 'pull'; readonly addresses: readonly string[]; readonly imagesEach: number }
  /** Training steps of a fixed time, two images each. */
  | {
      readonly do: 'steps';
      readonly addresses: readonly string[];
      readonly steps: number;
      readonly stepMs: number;
      readonly prefetchSteps: number;
    };

export interface PullAnswer {
  readonly imagesPerSecond: number;
}

export interface StepsAnswer {
  /** Of all steps but the first. */
  readonly seconds: { readonly total: number; readonly teacher: number; readonly data: number };
}

/** Under way at each teacher: one in its network, one that waits there, one on its way. */
const AHEAD_EACH = 3;

expectBulkBuffers();
const { height, width, classes } = JSON.parse(process.argv[2]!) as SimulatedSize;
const source = madeBatches(height, width, classes);
const decoder = startDecoder();
await decoder.setup(null);

sendLine({});
await answerRequests(async (request: PullRequest) => {
  const teacher = await connectBench(request.addresses, {
    ...({ encoding: 'int8', logits: 'sent' } as const),
    expected: { outputStride: OUTPUT_STRIDE },
  });
  try {
    return request.do === 'pull' ? await pull(teacher, request) : await steps(teacher, request);
  } finally {
    await teacher.close();
  }
});

/** The clock runs while all teachers are at work: neither the first answers nor the last count. */
async function pull(
  teacher: RemoteTeacher,
  { addresses, imagesEach }: PullRequest & { do: 'pull' },
): Promise<PullAnswer> {
  const [image] = teacherImages(await source.next());
  const ahead = AHEAD_EACH * addresses.length;
  const counted = imagesEach * addresses.length;
  let [asked, answered, begin, end] = [0, 0, 0, 0];
  let decoded: Promise<void> = Promise.resolve();
  const waiting: TeacherReply[] = [];
  const one = async (): Promise<void> => {
    while (asked < counted + 2 * ahead) {
      asked += 1;
      waiting.push(await teacher.request(image!));
      answered += 1;
      if (answered === ahead) begin = performance.now();
      if (answered === ahead + counted) end = performance.now();
      if (waiting.length < STEP_IMAGES) continue;
      const replies = waiting.splice(0, STEP_IMAGES);
      decoded = decoded.then(() => decoder.decode(replies, 0));
      await decoded;
    }
  };
  await Promise.all(Array.from({ length: ahead }, one));
  return { imagesPerSecond: counted / ((end - begin) / 1000) };
}

/** As the training loop counts its waiting, behind a first step that fills what is under way. */
async function steps(
  teacher: RemoteTeacher,
  { steps, stepMs, prefetchSteps }: PullRequest & { do: 'steps' },
): Promise<StepsAnswer> {
  const reports: StepReport[] = [];
  const feed = new Feed(source, teacher, prefetchSteps, steps);
  await runLoop({
    ...{ firstStep: 0, steps, accumulateSteps: 1, feed, teacher },
    compute: {
      async step(_step, batches) {
        await decoder.decode(
          batches.flatMap(({ replies }) => replies ?? []),
          stepMs,
        );
        return { kind: 'committed', terms: {}, learningRate: 0, bankFill: {} };
      },
      retry: () => Promise.reject(new Error('an answer was not finite')),
    },
    stop: new AbortController().signal,
    afterStep: (report) => void reports.push(report),
  });
  const sum = (part: 'total' | 'teacher' | 'data') =>
    reports.slice(1).reduce((total, { seconds }) => total + seconds[part], 0);
  return { seconds: { total: sum('total'), teacher: sum('teacher'), data: sum('data') } };
}
