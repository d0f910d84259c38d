/** What a teacher is asked for over the Open Inference Protocol, and over Distill beside it. */
import { expectedOutputs } from '../../../src/stream/codec/outputShapes.js';
import type { FixedModel } from '../../../test/support/peers/oip/servedModel.js';
import { type AnswerSize, bytesOfAnswer, GOAL_SIZE, WIRE_CASES } from '../cases.js';
import { requestsOf } from '../../wire/cases.js';

/** fp32 with logits: what the protocol can say, too. */
export const WIRE_CASE = WIRE_CASES[0]!;

/** The goal's answers, and small ones, where the cost of a call shows. */
export const SIZES: readonly AnswerSize[] = [
  GOAL_SIZE,
  { height: 16, width: 32, classes: 19, channels: 64 },
];

export const sizeName = ({ height, width, classes, channels }: AnswerSize) =>
  `${height}×${width}, ${channels} channels, ${classes} classes`;

/** Images under way: one after the other for the latency, many for the throughput. */
export const AHEAD = [1, 12] as const;

export const MODEL = 'cirkd';

/** Names of an answer's tensors and their shapes, [1, height, width] and the depth where there is one. */
export function namedShapes(size: AnswerSize): Record<string, number[]> {
  const sizes = { classes: size.classes, featureChannels: size.channels, outputStride: 1 };
  const outputs = expectedOutputs(size, sizes, requestsOf(WIRE_CASE));
  return Object.fromEntries(outputs.map(({ name, shape }) => [name, [1, ...shape]]));
}

/** For the real Triton: the same names, types and shapes. */
export function fixedModel(size: AnswerSize): FixedModel {
  const shapes = Object.entries(namedShapes(size));
  return {
    name: MODEL,
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }],
    outputs: shapes.map(([name, shape]) => ({
      ...{ name, datatype: 'FP32' },
      shape: shape.map((extent, axis) => (axis < 3 ? -1 : extent)),
    })),
    fixed: shapes.map(([, shape]) => shape),
  };
}

export const answerBytesOf = (size: AnswerSize) => bytesOfAnswer(size, WIRE_CASE);
