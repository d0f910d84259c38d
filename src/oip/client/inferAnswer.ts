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

const BYTES: Readonly<Record<OutputDatatype, number>> = { FP32: 4, FP16: 2, BF16: 2 };

interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/**
 * What the protocol asks of every answer: all outputs that were asked for, names that differ, and raw contents for
 * all outputs or for none, which then have no typed ones. Throws AnswerShapeError.
 */
export function checkForm(
  { outputs, rawOutputContents }: ModelInferResponse,
  asked: readonly string[],
): void {
  const names = outputs.map(({ name }) => name);
  const missing = asked.find((name) => !names.includes(name));
  if (missing !== undefined) {
    const given = namesText(names);
    throw new AnswerShapeError(`outputs: ${given} given, ${printable(missing)} is missing`);
  }
  if (new Set(names).size < names.length) {
    const twice = names.find((name, index) => names.indexOf(name) < index) as string;
    throw new AnswerShapeError(`outputs: ${printable(twice)} given twice`);
  }
  if (rawOutputContents.length === 0) return;
  if (rawOutputContents.length !== outputs.length) {
    throw new AnswerShapeError(
      `raw_output_contents: ${rawOutputContents.length} given for ${outputs.length} outputs`,
    );
  }
  const typed = outputs.find(({ contents }) => (contents?.fp32Contents.length ?? 0) > 0);
  if (typed === undefined) return;
  throw new AnswerShapeError(`${printable(typed.name)}: contents given beside raw_output_contents`);
}

/** Whether the raw contents of maps are as long as their shapes say. Throws AnswerShapeError. */
export function checkLengths({ outputs, rawOutputContents }: ModelInferResponse): void {
  for (const [index, { length }] of rawOutputContents.entries()) {
    const { name, datatype, shape } = outputs[index]!;
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
  return wanted.map((output) => {
    const index = response.outputs.findIndex(({ name }) => name === output.name);
    checkStated(response.outputs[index]!, output, height, width);
    const elements = height * width * (output.channels ?? 1);
    return { output, height, width, data: dataOf(response, index, output, elements) };
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
  { rawOutputContents, outputs }: ModelInferResponse,
  index: number,
  { name: rawName, datatype }: ModelOutput,
  elements: number,
): ArrayBuffer {
  const name = printable(rawName);
  const wanted = elements * BYTES[datatype];
  if (rawOutputContents.length > 0) {
    const raw = rawOutputContents[index];
    if (raw?.length !== wanted) {
      throw new AnswerShapeError(`${name}: ${raw?.length ?? 'no'} bytes given, wanted ${wanted}`);
    }
    const data = new ArrayBuffer(wanted);
    new Uint8Array(data).set(raw);
    return data;
  }
  // Some servers answer with typed contents, which exist for FP32 alone of these.
  const values = outputs[index]!.contents?.fp32Contents ?? [];
  if (datatype !== 'FP32' || values.length !== elements) {
    throw new AnswerShapeError(
      `${name}: ${values.length} numbers given, wanted ${elements} of ${datatype}`,
    );
  }
  return Float32Array.from(values).buffer;
}
