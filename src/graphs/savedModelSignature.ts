/** Chooses the signature of a SavedModel to serve, and reads its inputs and outputs. */
import { CheckpointError } from '../wire/checkpointError.js';
import { printable } from '../wire/printable.js';
import type { GraphTensor } from './graph.js';
import type { MetaGraphDef, SignatureDef, TensorInfoDef } from './savedModelProto.js';

const DEFAULT = 'serving_default';
/** TensorFlow writes this signature into every SavedModel with variables or tables to initialise. */
const INITIALISER = '__saved_model_init_op';

/** Names of types.proto's numbers. Any other type is shown by its number. */
const DTYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'float64',
  3: 'int32',
  4: 'uint8',
  5: 'int16',
  6: 'int8',
  7: 'string',
  8: 'complex64',
  9: 'int64',
  10: 'bool',
  14: 'bfloat16',
  17: 'uint16',
  18: 'complex128',
  19: 'half',
  20: 'resource',
  21: 'variant',
};

/** Dtypes in which an image can be fed. */
const INPUT_DTYPES = ['float32', 'float64', 'half', 'bfloat16', 'uint8'] as const;
/** Dtypes that can be read as float32. */
const OUTPUT_DTYPES = [...INPUT_DTYPES, 'int8', 'int16', 'int32', 'int64', 'bool'] as const;

export type InputDType = (typeof INPUT_DTYPES)[number];

/** A tensor of the signature, with its name in the signature and in the graph. */
export interface SignatureTensor extends GraphTensor {
  /** "operation:output". */
  readonly tensorName: string;
}

export interface SignatureInput extends SignatureTensor {
  readonly dtype: InputDType;
}

export interface Signature {
  readonly name: string;
  /** The image. */
  readonly input: SignatureInput;
  /** By name, in the order of the names. */
  readonly outputs: readonly SignatureTensor[];
}

/** Throws CheckpointError if no signature takes one image. */
export function readSignature(graph: MetaGraphDef): Signature {
  const [name, definition] = choose(graph.signatureDef);
  const operations = new Set(graph.graphDef?.node.map((node) => node.name));
  const toTensor =
    (side: string) =>
    ([key, info]: [string, TensorInfoDef]) =>
      signatureTensor(
        `signature '${printable(name)}': ${side} '${printable(key)}'`,
        key,
        info,
        operations,
      );
  const inputs = Object.entries(definition.inputs).map(toTensor('input'));
  // Sparse and ragged outputs can't be sent.
  const dense = Object.entries(definition.outputs).filter(([, info]) => info.name !== '');
  const outputs = dense.map(toTensor('output')).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (inputs.length !== 1) {
    throw new CheckpointError(
      `signature '${printable(name)}': inputs ${listed(inputs)} given, wanted one, the image`,
    );
  }
  if (outputs.length === 0) {
    throw new CheckpointError(`signature '${printable(name)}': no output given, wanted the logits`);
  }
  return { name, input: imageInput(name, inputs[0]!), outputs };
}

/** Throws CheckpointError on an output that can't be read as numbers. */
export function checkOutputDType({ name, dtype }: GraphTensor): void {
  if ((OUTPUT_DTYPES as readonly string[]).includes(dtype)) return;
  throw new CheckpointError(
    `output '${printable(name)}': ${dtype} given, wanted ${OUTPUT_DTYPES.join(', ')}`,
  );
}

function choose(signatures: Readonly<Record<string, SignatureDef>>): [string, SignatureDef] {
  const all = Object.entries(signatures).filter(([name]) => name !== INITIALISER);
  const chosen = all.length === 1 ? all[0] : all.find(([name]) => name === DEFAULT);
  if (chosen !== undefined) return chosen;
  const given = all.map(([name]) => `'${printable(name)}'`).join(', ');
  throw new CheckpointError(
    all.length === 0
      ? `no signature given, wanted '${DEFAULT}' (tf.saved_model.save(module, folder, signatures=...))`
      : `signatures ${given} given, wanted '${DEFAULT}' or only one`,
  );
}

function signatureTensor(
  where: string,
  name: string,
  info: TensorInfoDef,
  operations: ReadonlySet<string>,
): SignatureTensor {
  const operation = /^(.+):\d+$/.exec(info.name)?.[1];
  if (operation === undefined || !operations.has(operation)) {
    const given = info.name === '' ? 'no dense tensor' : `'${printable(info.name)}'`;
    throw new CheckpointError(`${where}: ${given} given, wanted the name of a tensor in the graph`);
  }
  return {
    name,
    tensorName: info.name,
    dtype: DTYPE_NAMES[info.dtype] ?? `type ${info.dtype}`,
    shape: shapeOf(where, info),
  };
}

function shapeOf(where: string, { tensorShape }: TensorInfoDef): (number | null)[] | undefined {
  if (tensorShape === null || tensorShape.unknownRank) return undefined;
  return tensorShape.dim.map(({ size }) => {
    if (size >= 0) return size;
    if (size === -1) return null;
    throw new CheckpointError(`${where}: a size of ${size} given, wanted -1 (any) or more`);
  });
}

function imageInput(signature: string, input: SignatureTensor): SignatureInput {
  const where = `signature '${printable(signature)}': input '${printable(input.name)}'`;
  const { shape, dtype } = input;
  // Channels last or first; inputReading.ts and the settings decide which.
  const fits = (channels: number | null | undefined) => channels === 3 || channels === null;
  if (shape !== undefined && (shape.length !== 4 || !(fits(shape[3]) || fits(shape[1])))) {
    throw new CheckpointError(
      `${where}: shape [${shape.map((size) => size ?? '?').join(', ')}] given, wanted images: [N, H, W, 3] or [N, 3, H, W]`,
    );
  }
  const known = INPUT_DTYPES.find((name) => name === dtype);
  if (known === undefined) {
    throw new CheckpointError(`${where}: ${dtype} given, wanted ${INPUT_DTYPES.join(', ')}`);
  }
  return { ...input, dtype: known };
}

function listed(tensors: readonly GraphTensor[]): string {
  return `[${tensors.map(({ name }) => printable(name)).join(', ')}]`;
}
