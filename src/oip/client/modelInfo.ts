/** A model of another program as a teacher's info, with a digest where the server states none. */
import { createHash } from 'node:crypto';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { printable } from '../../wire/printable.js';
import type { Misfits } from './misfit.js';
import type { ModelInput } from './modelInput.js';
import type { ModelOutputs } from './modelOutputs.js';
import type { TeacherFacts } from './modelParameters.js';
import type { ServerFacts } from './serverFacts.js';
import type { OipSettings } from './settings.js';
import { featureNames } from './trial/trialOutputs.js';

/** What is known of a model once it has answered the trial. */
export interface Known {
  readonly facts: ServerFacts;
  readonly stated: Partial<TeacherFacts>;
  readonly settings: OipSettings;
  readonly input: ModelInput;
  readonly outputs: ModelOutputs;
  /** That answered the trial. */
  readonly version: string;
}

/** PyTorch's default for interpolate, as for graphs. */
const DEFAULT_ALIGN_CORNERS = false;

export function infoOf(known: Known): TeacherInfo {
  const { facts, stated, settings, input, outputs } = known;
  // Raw pixels are sent as they are; what is stated then is what the model does itself.
  const pixels = { ...input.pixels, ...(input.datatype === 'UINT8' ? pixelsOf(stated) : {}) };
  return {
    digest: stated.digest ?? settings.digest ?? derivedDigest(known),
    model: stated.model ?? facts.metadata.name,
    classes: outputs.classes,
    featureChannels: outputs.featureChannels,
    hasAuxLogits: false,
    outputStride: outputs.outputStride,
    ...pixels,
    alignCorners: alignCornersOf(known),
    numericMode: stated.numericMode ?? `oip ${input.datatype}`,
    classNames: settings.classNames ?? stated.classNames ?? [],
  };
}

/** Settings that contradict what the server states become faults. */
export function checkStated(
  stated: Partial<TeacherFacts>,
  { digest, alignCorners }: Pick<OipSettings, 'digest' | 'alignCorners'>,
  misfits: Misfits,
): void {
  const pairs = [
    ['teacher.oip.digest', digest, 'cirkd.digest', stated.digest],
    ['teacher.oip.alignCorners', alignCorners, 'cirkd.align_corners', stated.alignCorners],
  ] as const;
  for (const [key, given, parameter, said] of pairs) {
    if (given === null || said === undefined || given === said) continue;
    misfits.fault(
      `${key}: ${given} given, the model's parameter ${parameter} says ${printable(`${said}`)}`,
    );
  }
}

function pixelsOf({ pixelMean, pixelStd, channelOrder }: Partial<TeacherFacts>) {
  return {
    ...(pixelMean === undefined ? {} : { pixelMean }),
    ...(pixelStd === undefined ? {} : { pixelStd }),
    ...(channelOrder === undefined ? {} : { channelOrder }),
  };
}

function alignCornersOf({ stated, settings }: Pick<Known, 'stated' | 'settings'>): boolean {
  return settings.alignCorners ?? stated.alignCorners ?? DEFAULT_ALIGN_CORNERS;
}

/**
 * sha256 over all that the server says of the model, and all that decides how its answers are read: of the
 * feature, which output it is as far as names tell it. So the digest is the same for students that use the
 * feature and those that don't. Other weights under the same name and version don't show.
 */
function derivedDigest({ facts, stated, settings, input, outputs, version }: Known): string {
  const { name, platform, inputs, outputs: statedOutputs } = facts.metadata;
  const tensors = (all: typeof inputs) =>
    all.map(({ name: tensor, datatype, shape }) => [tensor, datatype, shape]);
  const parameters = Object.entries(facts.config?.parameters ?? {})
    .map(([key, { stringValue }]) => [key, stringValue])
    .sort();
  const model = [name, version, platform, facts.config?.backend ?? '', parameters];
  const logits = outputs.outputs.filter(({ role }) => role === 'logits');
  const reading = readingParts({
    stated,
    settings,
    input,
    outputs: { ...outputs, outputs: logits },
  });
  const names = statedOutputs.map((output) => output.name);
  const feature = featureNames(names, settings.feature) ?? null;
  const identity = [model, tensors(inputs), tensors(statedOutputs), reading, feature];
  const hash = createHash('sha256').update(JSON.stringify(identity));
  return `oip:sha256:${hash.digest('hex')}`;
}

/**
 * How a model is asked and its answers are read, as one text: what they depend on beyond its weights. A
 * digest that is stated or vouched for doesn't cover this.
 */
export function readingOf(known: Known): string {
  const { input, outputs } = known;
  const types = [input.name, input.datatype, outputs.outputs.map(({ datatype }) => datatype)];
  return JSON.stringify(['oip', types, readingParts(known)]);
}

function readingParts({
  stated,
  settings,
  input: { layout, pixels },
  outputs,
}: Pick<Known, 'stated' | 'settings' | 'input' | 'outputs'>): unknown[] {
  return [
    [layout, pixels.pixelMean, pixels.pixelStd, pixels.channelOrder],
    outputs.outputs.map((output) => [output.role, output.name, output.layout]),
    [outputs.outputStride, alignCornersOf({ stated, settings })],
  ];
}
