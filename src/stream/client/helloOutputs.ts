/**
 * The outputs of a hello: what the caller needs, in the form in which it travels. A teacher computes and
 * sends nothing else.
 */
import {
  type Encoding,
  hasOutput,
  type NeededOutput,
  type OutputRequest,
} from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { ENCODING, OUTPUT } from '../codec/wireNames.js';
import type { OutputEncodingInput } from '../generated/cirkd/teacher/v1/OutputEncoding.js';

export type LogitsSource = 'sent' | 'rebuilt';

/** What CIRKD's own terms need together. */
export const FEATURE_AND_LOGITS: readonly NeededOutput[] = ['logits', 'embedding', 'feature_norm'];

/** What the outputs of a hello follow from. */
export interface OutputOptions {
  readonly outputs: readonly NeededOutput[];
  /** Of logits and embeddings. */
  readonly encoding: Encoding;
  readonly logits: LogitsSource;
}

/** Whether logits are rebuilt here from the feature, with the teacher's last layer. */
export function wantsClassifier({ outputs, logits }: OutputOptions): boolean {
  return logits === 'rebuilt' && outputs.includes('logits');
}

/** The outputs requested for every image, in the order of the hello. */
export function requestedOutputs(options: OutputOptions): OutputRequest[] {
  const { encoding } = options;
  const rebuilds = wantsClassifier(options);
  const needs = (output: NeededOutput) => options.outputs.includes(output);
  const requests: OutputRequest[] = [];
  if (needs('logits') && !rebuilds) {
    // A step of int8 would be too coarse for logits: the KD loss sees every one of them.
    requests.push({ output: 'logits', encoding: encoding === 'int8' ? 'fp16' : encoding });
  }
  if (needs('embedding') || rebuilds) {
    requests.push({ output: 'embedding', encoding });
    if (encoding === 'int8') requests.push({ output: 'embedding_scale', encoding: 'fp32' });
  }
  if (needs('feature_norm') || rebuilds) {
    requests.push({ output: 'feature_norm', encoding: 'fp32' });
  }
  if (needs('aux_norm')) requests.push({ output: 'aux_norm', encoding: 'fp32' });
  return requests;
}

/** The outputs that a teacher grants: what it doesn't have is left out. */
export function grantedOutputs(info: TeacherParts, options: OutputOptions): OutputRequest[] {
  return requestedOutputs(options).filter(({ output }) => hasOutput(info, output));
}

type TeacherParts = Pick<TeacherInfo, 'featureChannels' | 'hasAuxLogits'>;

/** All outputs that the hello requests, with the contract's names. */
export function helloOutputs(options: OutputOptions): OutputEncodingInput[] {
  return outputsToWire(requestedOutputs(options), options);
}

/** The outputs that the welcome of a teacher has to grant. */
export function welcomeOutputs(info: TeacherParts, options: OutputOptions): OutputEncodingInput[] {
  return outputsToWire(grantedOutputs(info, options), options);
}

function outputsToWire(
  imageOutputs: readonly OutputRequest[],
  options: OutputOptions,
): OutputEncodingInput[] {
  const classifier = { output: 'classifier', encoding: 'fp32' } as const;
  const outputs = wantsClassifier(options) ? [...imageOutputs, classifier] : imageOutputs;
  return outputs.map(({ output, encoding }) => ({
    output: OUTPUT.toWire[output],
    encoding: ENCODING.toWire[encoding],
  }));
}
