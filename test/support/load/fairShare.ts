/** Two students at one saturated fleet, of which one asks for four times as much. */
import { drawsFor } from '../../../src/random/draws.js';
import { connectTeachers } from '../../../src/stream/client/remoteTeacher.js';
import { imageOf } from '../students/scriptedStudent.js';

/** Images unanswered at a time: more than two teachers can have under way at once, each. */
const MODEST = 8;
const GREEDY = 4 * MODEST;
const STRIDE = 8;

/** The part, 0..1, of the first `images` answers that went to the student that asks for less. */
export async function modestShare(addresses: readonly string[], images: number): Promise<number> {
  const stop = new AbortController();
  const answered = { modest: 0, greedy: 0 };
  const count = (name: keyof typeof answered) => {
    if (answered.modest + answered.greedy < images) answered[name] += 1;
    else stop.abort();
  };
  await Promise.all([
    askFor(addresses, 'modest', MODEST, stop.signal, () => count('modest')),
    askFor(addresses, 'greedy', GREEDY, stop.signal, () => count('greedy')),
  ]);
  return answered.modest / images;
}

async function askFor(
  addresses: readonly string[],
  runId: string,
  window: number,
  signal: AbortSignal,
  onAnswer: () => void,
): Promise<void> {
  const draws = drawsFor(window, 'jitter');
  const teacher = await connectTeachers({
    addresses,
    runId,
    encoding: 'int8',
    expected: { outputStride: STRIDE },
    requestTimeoutMs: 60_000,
    teacherTimeoutMs: 60_000,
    maxInflightBytes: 64 * 1_048_576,
    maxInflightImagesPerTeacher: window,
    jitter: () => draws.uniform(),
  });
  let asked = 0;
  async function lane(): Promise<void> {
    while (!signal.aborted) {
      await teacher.request(imageOf(asked++));
      onAnswer();
    }
  }
  await Promise.all(Array.from({ length: window }, lane));
  await teacher.close();
}
