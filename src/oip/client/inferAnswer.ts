/** Checks a ModelInferResponse against what was asked for, before its bytes are used. */
import { outputSize } from '../../wire/checkTensor.js';
import { printable } from '../../wire/printable.js';
import type { ModelInferResponse } from '../generated/inference/ModelInferResponse.js';
import type { RawOutput } from './answerTensors.js';
import { type ModelOutput, OUTPUT_DATATYPES, type OutputDatatype } from './modelOutputs.js';
import { namesText, shapeText } from './serverFacts.js';

/** An answer that doesn't fit the request; the message names the field, what came and what was wanted. */
export class AnswerShapeError extends Error {
  override readonly name = 'AnswerShapeError';
}

/** An output that was asked for isn't there. */
export class MissingOutputError extends AnswerShapeError {}

const BYTES: Readonly<Record<OutputDatatype, number>> = { FP32: 4, FP16: 2, BF16: 2 };

interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/**
 * What the protocol asks of every answer: all outputs that were asked for, names that differ, and raw contents for
 * all outputs without typed ones, or for none. Throws AnswerShapeError, MissingOutputError.
 */
export function checkForm(
  { outputs, rawOutputContents }: ModelInferResponse,
  asked: readonly string[],
): void {
  const names = outputs.map(({ name }) => name);
  const missing = asked.find((name) => !names.includes(name));
  if (missing !== undefined) {
    const given = namesText(names);
    throw new MissingOutputError(`outputs: ${given} given, ${printable(missing)} is missing`);
  }
  if (new Set(names).size < names.length) {
    const twice = names.find((name, index) => names.indexOf(name) < index) as string;
    throw new AnswerShapeError(`outputs: ${printable(twice)} given twice`);
  }
  if (rawOutputContents.length === 0) return;
  const typed = outputs.filter(isTyped);
  const raw = rawOutputContents.length;
  if (raw === outputs.length - typed.length) return;
  if (raw === outputs.length) {
    throw new AnswerShapeError(
      `${printable(typed[0]!.name)}: contents given beside raw_output_contents`,
    );
  }
  const untyped = typed.length === 0 ? '' : `, ${typed.length} of them with contents`;
  throw new AnswerShapeError(
    `raw_output_contents: ${raw} given for ${outputs.length} outputs${untyped}`,
  );
}

function isTyped({ contents }: ModelInferResponse['outputs'][number]): boolean {
  return contents != null && Object.values(contents).some(({ length }) => length > 0);
}

/**
 * The raw contents of each output, in the outputs' order; undefined for one with typed contents. KServe answers so
 * for a model that gives arrays and lists: its raw contents are those of the arrays, in their order.
 */
function rawContentsOf({
  outputs,
  rawOutputContents,
}: ModelInferResponse): (Uint8Array | undefined)[] {
  const raw = rawOutputContents.values();
  return outputs.map((output) => (isTyped(output) ? undefined : raw.next().value));
}

/** Whether the raw contents of maps are as long as their shapes say. Throws AnswerShapeError. */
export function checkLengths(response: ModelInferResponse): void {
  for (const [index, raw] of rawContentsOf(response).entries()) {
    if (raw === undefined) continue;
    const { length } = raw;
    const { name, datatype, shape } = response.outputs[index]!;
    const known = OUTPUT_DATATYPES.find((each) => each === datatype);
    if (known === undefined) continue;
    const wanted = shape.reduce((product, size) => product * size, BYTES[known]);
    if (length === wanted) continue;
    throw new AnswerShapeError(
      `${printable(name)}: ${length} bytes given, ${datatype} ${shapeText(shape)} has ${wanted}`,
    );
  }
}

/** The outputs in the order asked for, each with a copy of its bytes. Throws AnswerShapeError. */
export function readAnswer(
  response: ModelInferResponse,
  wanted: readonly ModelOutput[],
  image: ImageSize,
  outputStride: number,
): RawOutput[] {
  const names = wanted.map(({ name }) => name);
  checkForm(response, names);
  const [height, width] = outputSize(image.height, image.width, outputStride);
  const contents = rawContentsOf(response);
  return wanted.map((output) => {
    const index = response.outputs.findIndex(({ name }) => name === output.name);
    const given = response.outputs[index]!;
    checkStated(given, output, height, width);
    const elements = height * width * (output.channels ?? 1);
    const data = dataOf(given, contents[index], output, elements);
    return { output, height, width, data };
  });
}

/** Bytes of tensors in a response. */
export function answeredBytes({ rawOutputContents, outputs }: ModelInferResponse): number {
  const raw = rawOutputContents.reduce((sum, { length }) => sum + length, 0);
  const typed = outputs.reduce(
    (sum, { contents }) => sum + (contents?.fp32Contents.length ?? 0),
    0,
  );
  return raw + typed * BYTES.FP32;
}

function checkStated(
  given: ModelInferResponse['outputs'][number],
  { name: rawName, datatype, layout, hasBatchAxis, channels }: ModelOutput,
  height: number,
  width: number,
): void {
  const name = printable(rawName);
  if (given.datatype !== datatype) {
    throw new AnswerShapeError(
      `${name}: datatype ${printable(given.datatype)} given, wanted ${datatype}`,
    );
  }
  const map =
    channels === null
      ? [height, width]
      : layout === 'nchw'
        ? [channels, height, width]
        : [height, width, channels];
  const shape = [...(hasBatchAxis ? [1] : []), ...map];
  const fits = given.shape.length === shape.length && given.shape.join() === shape.join();
  if (fits) return;
  throw new AnswerShapeError(
    `${name}: shape ${shapeText(given.shape)} given, wanted ${shapeText(shape)}`,
  );
}

function dataOf(
  { contents }: ModelInferResponse['outputs'][number],
  raw: Uint8Array | undefined,
  { name: rawName, datatype }: ModelOutput,
  elements: number,
): ArrayBuffer {
  const name = printable(rawName);
  const wanted = elements * BYTES[datatype];
  if (raw !== undefined) {
    if (raw.length !== wanted) {
      throw new AnswerShapeError(`${name}: ${raw.length} bytes given, wanted ${wanted}`);
    }
    const data = new ArrayBuffer(wanted);
    new Uint8Array(data).set(raw);
    return data;
  }
  // Some servers answer with typed contents, which exist for FP32 alone of these.
  const values = contents?.fp32Contents ?? [];
  if (datatype !== 'FP32' || values.length !== elements) {
    throw new AnswerShapeError(
      `${name}: ${values.length} numbers given, wanted ${elements} of ${datatype}`,
    );
  }
  return Float32Array.from(values).buffer;
}
