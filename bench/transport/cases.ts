/**
 * What is moved: answers of 64x128 positions, and the sides that move them.
 *
 * Images have as many pixels as the maps have positions (a stride of 1), so that next to nothing
 * goes the other way: what is measured is the way of the answers.
 */
import { answerBytes, expectedOutputs, rowBytes } from '../../src/stream/codec/outputShapes.js';
import { type AnswerSize, requestsOf, type WireCase } from '../wire/cases.js';

export { type AnswerSize, caseName, WIRE_CASES, type WireCase } from '../wire/cases.js';

export const GOAL_SIZE: AnswerSize = { height: 64, width: 128, classes: 19, channels: 512 };

/** Images that become tensors together, as in a student's step. */
export const STEP_IMAGES = 2;

/** Largest message of every side but one; the teacher's limits.chunkBytes by default. */
export const CHUNK_BYTES = 1_048_576;

/** Bytes of an answer's tensors. */
export function bytesOfAnswer(size: AnswerSize, wireCase: WireCase): number {
  return answerBytes(outputsOf(size, wireCase));
}

/** Bytes of the messages that an answer comes in, each of whole rows of an output. */
export function messagesOfAnswer(size: AnswerSize, wireCase: WireCase): number[] {
  return outputsOf(size, wireCase).flatMap((output) => {
    const bytes = rowBytes(output);
    const rows = output.shape[0]!;
    const rowsAtOnce = Math.max(1, Math.floor(CHUNK_BYTES / bytes));
    return Array.from(
      { length: Math.ceil(rows / rowsAtOnce) },
      (_, chunk) => bytes * Math.min(rowsAtOnce, rows - chunk * rowsAtOnce),
    );
  });
}

function outputsOf(size: AnswerSize, wireCase: WireCase) {
  const { classes, channels } = size;
  const sizes = { classes, featureChannels: channels, outputStride: 1 };
  return expectedOutputs(size, sizes, requestsOf(wireCase));
}
