/**
 * The tensors of the served model. There is no field for the data type of a requested output, so each
 * output that can travel in half precision has a second name.
 */
import type { Encoding, OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';

/** `image`: UINT8 [N, height, width, 3], R G B. */
export const INPUT_NAME = 'image';
export const INPUT_DATATYPE = 'UINT8';

/** What the values of an output are, whatever its precision. */
export type OutputValues = 'logits' | 'embedding' | 'feature_norm' | 'feature';

export type OutputDatatype = 'FP32' | 'FP16';

export const DATATYPE_BYTES: Readonly<Record<OutputDatatype, number>> = { FP32: 4, FP16: 2 };

/** One output of the model, of shape [N, h, w, channels], or [N, h, w] without channels. */
export interface ModelTensor {
  readonly name: string;
  readonly values: OutputValues;
  readonly datatype: OutputDatatype;
  readonly channels: number | null;
}

const FP16_SUFFIX = '_fp16';

/**
 * The outputs that a teacher has, in the order of its metadata: those in FP32 first. A teacher without a
 * feature has logits only.
 */
export function modelOutputs(info: TeacherInfo, encodings: readonly Encoding[]): ModelTensor[] {
  const { classes, featureChannels } = info;
  const channelsOf: Readonly<Record<OutputValues, number | null>> = {
    logits: classes,
    embedding: featureChannels,
    feature_norm: null,
    feature: featureChannels,
  };
  const all: readonly OutputValues[] =
    featureChannels > 0 ? ['logits', 'embedding', 'feature_norm', 'feature'] : ['logits'];
  const tensor = (values: OutputValues, datatype: OutputDatatype): ModelTensor => ({
    name: datatype === 'FP16' ? `${values}${FP16_SUFFIX}` : values,
    values,
    datatype,
    channels: channelsOf[values],
  });
  // Norms are sent in single precision always, as on a Distill stream.
  const isNorm = (values: OutputValues) => values === 'feature_norm';
  return [
    ...all
      .filter((values) => encodings.includes('fp32') || isNorm(values))
      .map((values) => tensor(values, 'FP32')),
    ...all
      .filter((values) => encodings.includes('fp16') && !isNorm(values))
      .map((values) => tensor(values, 'FP16')),
  ];
}

/** The outputs of a request that names none: all in single precision, or all there are. */
export function defaultOutputs(outputs: readonly ModelTensor[]): ModelTensor[] {
  const single = outputs.filter(({ datatype }) => datatype === 'FP32');
  return single.some(({ values }) => values === 'logits') ? single : [...outputs];
}

/**
 * What the network has to give for these outputs: each of its outputs once, in the precision that is
 * needed. What it doesn't give as it is, derivedOutputs.ts makes.
 */
export function networkOutputs(tensors: readonly ModelTensor[]): readonly OutputRequest[] {
  let outputs = networkOutputsOfList.get(tensors);
  if (outputs === undefined) {
    outputs = networkOutputsByNames(tensors);
    networkOutputsOfList.set(tensors, outputs);
  }
  return outputs;
}

/** A request's list is asked about several times. */
const networkOutputsOfList = new WeakMap<readonly ModelTensor[], readonly OutputRequest[]>();

function networkOutputsByNames(tensors: readonly ModelTensor[]): readonly OutputRequest[] {
  const names = tensors.map(({ name }) => name).join();
  const known = networkOutputsOf.get(names);
  if (known !== undefined) return known;
  const requests: OutputRequest[] = [];
  if (needs(tensors, 'logits')) {
    const isSingle = needs(tensors, 'logits', 'FP32');
    requests.push({ output: 'logits', encoding: isSingle ? 'fp32' : 'fp16' });
  }
  const needsFeature = needs(tensors, 'feature');
  if (needs(tensors, 'embedding') || needsFeature) {
    const isSingle = needsFeature || needs(tensors, 'embedding', 'FP32');
    requests.push({ output: 'embedding', encoding: isSingle ? 'fp32' : 'fp16' });
  }
  if (needs(tensors, 'feature_norm') || needsFeature) {
    requests.push({ output: 'feature_norm', encoding: 'fp32' });
  }
  if (networkOutputsOf.size >= MAX_KNOWN) networkOutputsOf.clear();
  networkOutputsOf.set(names, requests);
  return requests;
}

/** By the tensors' names: clients ask for the same outputs again and again. */
const networkOutputsOf = new Map<string, readonly OutputRequest[]>();

/** Clients can ask for thousands of orders. */
const MAX_KNOWN = 64;

function needs(
  tensors: readonly ModelTensor[],
  values: OutputValues,
  datatype?: OutputDatatype,
): boolean {
  return tensors.some(
    (one) => one.values === values && (datatype ?? one.datatype) === one.datatype,
  );
}
