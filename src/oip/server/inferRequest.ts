/** Checks an inference request before anything is queued for it. */
import type { InferenceImage } from '../../contract/inference.js';
import type { ServerLimits } from '../../stream/server/serving.js';
import { printable } from '../../wire/printable.js';
import { checkModel, invalidArgument, quoted, requestPrefix } from './modelErrors.js';
import {
  DATATYPE_BYTES,
  defaultOutputs,
  INPUT_DATATYPE,
  INPUT_NAME,
  type ModelTensor,
} from './modelTensors.js';
import type { DecodedRequest } from './requestDecoder.js';
import { checkParameters } from './requestParameters.js';
import { ContentsError, MAX_TYPED_ELEMENTS, typedBytes } from './typedContents.js';

/** The model as requests are checked against it. */
export interface ServedModel {
  readonly name: string;
  readonly outputs: readonly ModelTensor[];
  readonly outputStride: number;
  readonly limits: Pick<ServerLimits, 'maxImagePixels' | 'maxInflightImages'>;
}

/** A request that can be answered. */
export interface InferPlan {
  /** Returned with the answer; the client's own. */
  readonly id: string;
  readonly images: readonly InferenceImage[];
  readonly height: number;
  readonly width: number;
  /** In the order in which they were requested. */
  readonly outputs: readonly ModelTensor[];
  /** From the request's parameters; null: none. */
  readonly timeoutMs: number | null;
}

/** gRPC's clients take no larger message, and its frames have no room for more than twice as much. */
const MAX_RESPONSE_BYTES = 2 ** 31 - 1 - 65_536;

const BYTE_SHAPE = '[-1,-1,-1,3]';

type Input = DecodedRequest['request']['inputs'][number];

/** Throws RpcError. */
export function planOf(decoded: DecodedRequest, model: ServedModel): InferPlan {
  const { request } = decoded;
  checkModel(model.name, request.modelName, request.modelVersion);
  const timeoutMs = checkParameters(request.parameters);
  const input = onlyInput(decoded, model);
  const { id } = request;
  const [count, height, width] = checkShape(input, id, model);
  const pixels = pixelsOf(decoded, input, count * height * width * 3, model);
  const outputs = requestedOutputs(request, model);
  checkAnswer(outputs, { count, height, width }, model);
  const bytes = height * width * 3;
  const images = Array.from({ length: count }, (_, index) => ({
    ...{ height, width },
    rgb: pixels.subarray(index * bytes, (index + 1) * bytes),
  }));
  return { id, images, height, width, outputs, timeoutMs };
}

function onlyInput({ request, raw, contents }: DecodedRequest, { name }: ServedModel): Input {
  const { inputs, id } = request;
  for (const [index, input] of inputs.entries()) {
    const where = `${quoted(input.name)} for model ${quoted(name)}`;
    if (contents[index] !== undefined && raw.length > 0) {
      throw invalidArgument(
        `contents field must not be specified when using raw_input_contents for ${where}`,
      );
    }
    if (contents[index] === undefined && raw.length <= index) {
      throw invalidArgument(`unable to find data for input tensor ${where} in request.`);
    }
    refuseSharedMemory('inputs', input.parameters);
  }
  const stranger = inputs.find((input) => input.name !== INPUT_NAME);
  if (stranger !== undefined) {
    throw invalidArgument(
      `unexpected inference input ${quoted(stranger.name)} for model ${quoted(name)}`,
    );
  }
  const [input] = inputs;
  if (input === undefined) {
    throw invalidArgument(
      `${requestPrefix(id)}expected 1 inputs but got 0 inputs for model ${quoted(name)}. Got input(s) [], but missing required input(s) ['${INPUT_NAME}']. Please provide all required input(s).`,
    );
  }
  if (inputs.length > 1) {
    throw invalidArgument(`${requestPrefix(id)}input '${INPUT_NAME}' already exists in request`);
  }
  if (raw.length > 1) {
    throw invalidArgument(
      `raw_input_contents: ${raw.length} given for 1 inputs of model ${quoted(name)}, wanted one per input`,
    );
  }
  return input;
}

/** [N, height, width] */
function checkShape(
  { datatype, shape }: Input,
  id: string,
  { name, limits }: ServedModel,
): [number, number, number] {
  const where = `'${INPUT_NAME}' for model ${quoted(name)}`;
  if (datatype !== INPUT_DATATYPE) {
    throw invalidArgument(
      `${requestPrefix(id)}inference input '${INPUT_NAME}' data-type is ${quoted(datatype)}, but model ${quoted(name)} expects '${INPUT_DATATYPE}'`,
    );
  }
  const [count = 0, height = 0, width = 0, channels] = shape;
  const isWhole = shape.every((size) => Number.isSafeInteger(size) && size >= 1);
  if (shape.length !== 4 || channels !== 3 || !isWhole) {
    throw invalidArgument(
      `${requestPrefix(id)}unexpected shape for input ${where}. Expected ${BYTE_SHAPE}, got ${printable(`[${shape}]`)}.`,
    );
  }
  if (count > limits.maxInflightImages) {
    throw invalidArgument(
      `${requestPrefix(id)}inference request batch-size must be <= ${limits.maxInflightImages} for ${quoted(name)}`,
    );
  }
  if (height * width > limits.maxImagePixels) {
    throw invalidArgument(
      `${requestPrefix(id)}input ${where}: ${height} x ${width} = ${height * width} pixels given, wanted at most ${limits.maxImagePixels}`,
    );
  }
  return [count, height, width];
}

function pixelsOf(
  { request, raw, contents }: DecodedRequest,
  input: Input,
  wanted: number,
  { name }: ServedModel,
): Uint8Array {
  const typed = contents[0];
  const bytes = typed === undefined ? raw[0]! : typedPixels(typed, wanted, name);
  if (bytes.length === wanted) return bytes;
  throw invalidArgument(
    `${requestPrefix(request.id)}input byte size mismatch for input ${quoted(input.name)} for model ${quoted(name)}. Expected ${wanted}, got ${bytes.length}`,
  );
}

function typedPixels(contents: Uint8Array, wanted: number, name: string): Uint8Array {
  const where = `input tensor '${INPUT_NAME}' for model ${quoted(name)}`;
  if (wanted > MAX_TYPED_ELEMENTS) {
    throw invalidArgument(
      `contents: ${wanted} elements given for ${where}, wanted at most ${MAX_TYPED_ELEMENTS}; use raw_input_contents`,
    );
  }
  try {
    return typedBytes(contents, wanted);
  } catch (error) {
    if (!(error instanceof ContentsError)) throw error;
    const { datatype, message } = error;
    throw invalidArgument(
      datatype === undefined
        ? `${message} for ${where}`
        : `unexpected explicit tensor data for ${where} of type '${datatype}', expected datatype '${INPUT_DATATYPE}'`,
    );
  }
}

function requestedOutputs(
  { outputs }: DecodedRequest['request'],
  model: ServedModel,
): ModelTensor[] {
  if (outputs.length === 0) return defaultOutputs(model.outputs);
  const requested: ModelTensor[] = [];
  for (const { name, parameters } of outputs) {
    refuseSharedMemory('outputs', parameters);
    const found = model.outputs.find((output) => output.name === name);
    if (found === undefined) {
      throw invalidArgument(
        `unexpected inference output ${quoted(name)} for model ${quoted(model.name)}`,
      );
    }
    // An output that is named twice is sent once, as by Triton.
    if (!requested.includes(found)) requested.push(found);
  }
  return requested;
}

/** Extensions of Triton's that this server doesn't have: ignoring them would give another answer. */
function refuseSharedMemory(field: string, parameters: object): void {
  for (const key of ['shared_memory_region', 'classification']) {
    if (key in parameters) {
      throw invalidArgument(
        `${field}: parameter '${key}' given, this server has no such extension`,
      );
    }
  }
}

function checkAnswer(
  outputs: readonly ModelTensor[],
  { count, height, width }: { count: number; height: number; width: number },
  { name, outputStride }: ServedModel,
): void {
  const positions = count * Math.ceil(height / outputStride) * Math.ceil(width / outputStride);
  const bytes = outputs.reduce(
    (sum, { channels, datatype }) => sum + positions * (channels ?? 1) * DATATYPE_BYTES[datatype],
    0,
  );
  if (bytes > MAX_RESPONSE_BYTES) {
    throw invalidArgument(
      `the response of model ${quoted(name)} would take ${bytes} bytes, which exceeds gRPC's byte size limit ${MAX_RESPONSE_BYTES}`,
    );
  }
}
