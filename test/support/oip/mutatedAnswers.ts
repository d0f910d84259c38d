/** Answers made wrong, as objects and as bytes; equal draws make equal answers. */
import type { ModelInferResponseInput } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import type { Draws } from '../../../src/random/draws.js';

/** `otherIds`: of other images that may be under way. */
type AnswerMutation = (
  answer: ModelInferResponseInput,
  draws: Draws,
  otherIds: readonly string[],
) => ModelInferResponseInput;

type Output = NonNullable<ModelInferResponseInput['outputs']>[number];

const DATATYPES = ['FP16', 'BF16', 'FP64', 'INT32', 'UINT8', 'BOOL', 'BYTES', 'fp32', 'FP32 ', ''];
const ODD_TEXTS = ['\u001b[2J', 'x'.repeat(50_000), '\u202e', 'logits\n', '__proto__', '\ud800'];
const ODD_SIZES = [0, -1, 1, 2, 4, 2 ** 31, 2 ** 53, '-9223372036854775808', '9223372036854775807'];

const of = <T>(values: readonly T[], draws: Draws): T => values[draws.integer(values.length)] as T;

/** One output, changed. */
function withOutput(
  { outputs = [], ...rest }: ModelInferResponseInput,
  draws: Draws,
  change: (output: Output) => Output,
): ModelInferResponseInput {
  const index = draws.integer(outputs.length);
  return { ...rest, outputs: outputs.map((each, i) => (i === index ? change(each) : each)) };
}

/** The bytes of one output, changed; undefined: left out. */
function withRaw(
  { rawOutputContents = [], ...rest }: ModelInferResponseInput,
  draws: Draws,
  change: (bytes: Buffer) => Buffer | undefined,
): ModelInferResponseInput {
  const index = draws.integer(rawOutputContents.length);
  const changed = rawOutputContents.flatMap((bytes, i) => {
    const made = i === index ? change(bytes as Buffer) : (bytes as Buffer);
    return made === undefined ? [] : [made];
  });
  return { ...rest, rawOutputContents: changed };
}

function floats(bytes: Buffer): number[] {
  return [...new Float32Array(new Uint8Array(bytes).buffer)];
}

const WRONG_SHAPES: readonly ((shape: readonly unknown[], draws: Draws) => unknown[])[] = [
  (shape) => [...shape].reverse(),
  (shape) => shape.slice(1),
  (shape) => [1, ...shape],
  () => [],
  (shape, draws) => shape.with(draws.integer(shape.length), of(ODD_SIZES, draws)),
  (shape) => Array.from({ length: 2000 }, () => shape[0]),
];

export const ANSWER_MUTATIONS: Readonly<Record<string, AnswerMutation>> = {
  wrongShape: (answer, draws) =>
    withOutput(answer, draws, (output) => ({
      ...output,
      shape: of(WRONG_SHAPES, draws)(output.shape ?? [], draws) as number[],
    })),
  wrongDatatype: (answer, draws) =>
    withOutput(answer, draws, (output) => ({
      ...output,
      datatype: of([...DATATYPES, ...ODD_TEXTS], draws),
    })),
  renamedOutput: (answer, draws) =>
    withOutput(answer, draws, (output) => ({ ...output, name: of([...ODD_TEXTS, ''], draws) })),
  missingOutput: ({ outputs = [], ...rest }, draws) => ({
    ...rest,
    outputs: outputs.toSpliced(draws.integer(outputs.length), 1),
  }),
  missingBoth({ outputs = [], rawOutputContents = [], ...rest }, draws) {
    const index = draws.integer(outputs.length);
    return {
      ...rest,
      outputs: outputs.toSpliced(index, 1),
      rawOutputContents: rawOutputContents.toSpliced(index, 1),
    };
  },
  doubledOutput({ outputs = [], rawOutputContents = [], ...rest }, draws) {
    const index = draws.integer(outputs.length);
    return {
      ...rest,
      outputs: [...outputs, outputs[index]!],
      rawOutputContents: [...rawOutputContents, Buffer.alloc(rawOutputContents[index]!.length, 1)],
    };
  },
  swappedOutputs: ({ outputs = [], ...rest }) => ({ ...rest, outputs: outputs.toReversed() }),
  swappedBytes: ({ rawOutputContents = [], ...rest }) => ({
    ...rest,
    rawOutputContents: rawOutputContents.toReversed(),
  }),
  bothSwapped: ({ outputs = [], rawOutputContents = [], ...rest }) => ({
    ...rest,
    outputs: outputs.toReversed(),
    rawOutputContents: rawOutputContents.toReversed(),
  }),
  bytesCut: (answer, draws) =>
    withRaw(answer, draws, (bytes) => bytes.subarray(0, draws.integer(bytes.length))),
  bytesLonger: (answer, draws) =>
    withRaw(answer, draws, (bytes) => Buffer.concat([bytes, Buffer.alloc(1 + draws.integer(9))])),
  bytesMissing: (answer, draws) => withRaw(answer, draws, () => undefined),
  noBytes: ({ rawOutputContents: _, ...rest }) => rest,
  bytesExtra: ({ rawOutputContents = [], ...rest }, draws) => ({
    ...rest,
    rawOutputContents: rawOutputContents.toSpliced(draws.integer(3), 0, Buffer.alloc(108)),
  }),
  valuesFlipped: (answer, draws) =>
    withRaw(answer, draws, (bytes) => {
      const changed = Buffer.from(bytes);
      const at = draws.integer(changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << draws.integer(8));
      return changed;
    }),
  notFinite: (answer, draws) =>
    withRaw(answer, draws, (bytes) => {
      const changed = Buffer.from(bytes);
      const value = of([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], draws);
      changed.writeFloatLE(value, 4 * draws.integer(changed.length / 4));
      return changed;
    }),
  typed: ({ outputs = [], rawOutputContents = [], ...rest }) => ({
    ...rest,
    outputs: outputs.map((output, i) => ({
      ...output,
      contents: { fp32Contents: floats(rawOutputContents[i] as Buffer) },
    })),
  }),
  typedAndRaw: ({ outputs = [], rawOutputContents = [], ...rest }) => ({
    ...rest,
    rawOutputContents,
    outputs: outputs.map((output, i) => ({
      ...output,
      contents: { fp32Contents: floats(rawOutputContents[i] as Buffer).map((value) => value + 1) },
    })),
  }),
  typedWrong: ({ outputs = [], rawOutputContents: _, ...rest }, draws) => ({
    ...rest,
    outputs: outputs.map((output) => ({
      ...output,
      contents: { fp64Contents: Array.from({ length: draws.integer(40) }, () => 1) },
    })),
  }),
  wrongId: (answer, draws, otherIds) => ({
    ...answer,
    id: of(
      ['', '0.0', '-1.0', '1e3.0', '999999999999999.999999999', ...ODD_TEXTS, ...otherIds],
      draws,
    ),
  }),
  wrongVersion: (answer, draws) => ({
    ...answer,
    modelVersion: of(['', '2', ...ODD_TEXTS], draws),
  }),
  wrongModel: (answer, draws) => ({ ...answer, modelName: of(['', 'other', ...ODD_TEXTS], draws) }),
  manyOutputs: ({ outputs = [], rawOutputContents = [], ...rest }, draws) => ({
    ...rest,
    outputs: [...outputs, ...Array.from({ length: 2000 }, (_, i) => ({ name: `extra${i}` }))],
    rawOutputContents: [
      ...rawOutputContents,
      ...(draws.integer(2) === 0 ? Array.from({ length: 2000 }, () => Buffer.alloc(0)) : []),
    ],
  }),
  moreParameters: (answer) => ({
    ...answer,
    parameters: Object.fromEntries([
      ...Array.from({ length: 300 }, (_, i) => [`extra${i}`, { int64Param: i }]),
      ['__proto__', { stringParam: 'x' }],
      ['triton_final_response', { boolParam: true }],
    ]),
  }),
  tooLarge: ({ rawOutputContents = [], ...rest }) => ({
    ...rest,
    rawOutputContents: [...rawOutputContents, Buffer.alloc(1_200_000)],
  }),
  empty: () => ({}),
};
