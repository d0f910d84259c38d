/**
 * Which of a model's outputs are logits and feature, the order of their axes, their channels and stride:
 * from settings, from what the server states, and from the answer to a trial image.
 */
import { outputSize } from '../../wire/checkTensor.js';
import { printable } from '../../wire/printable.js';
import type { Misfits } from './misfit.js';
import type { ModelInput } from './modelInput.js';
import type { TeacherFacts } from './modelParameters.js';
import { MOST_SHOWN, type StatedTensor, tensorsText, tensorText } from './serverFacts.js';
import { type Layout, NO_FEATURE, type OipSettings } from './settings.js';

/** Data types that outputs may have. */
export const OUTPUT_DATATYPES = ['FP32', 'FP16', 'BF16'] as const;

export type OutputDatatype = (typeof OUTPUT_DATATYPES)[number];

/** Strides looked for, beside powers of two. Networks for segmentation have at most 32. */
const MAX_STRIDE = 1024;

/** What a requested output is for. */
export type OutputRole = 'logits' | 'feature' | 'embedding' | 'feature_norm';

export interface ModelOutput {
  readonly role: OutputRole;
  readonly name: string;
  readonly datatype: OutputDatatype;
  readonly layout: Layout;
  readonly hasBatchAxis: boolean;
  /** null: [h, w], one number at each position. */
  readonly channels: number | null;
}

export interface ModelOutputs {
  /** Logits first; then the feature, or embedding and norms of a server that gives these. */
  readonly outputs: readonly ModelOutput[];
  readonly classes: number;
  /** 0: no feature. */
  readonly featureChannels: number;
  readonly outputStride: number;
}

/** The answer to a trial image, H W pixels. */
export interface Trial {
  readonly height: number;
  readonly width: number;
  readonly outputs: readonly StatedTensor[];
}

/** What the student expects, which decides between readings that both fit. */
export interface ExpectedOutputs {
  readonly classes: number | null;
  readonly outputStride: number;
  /** Whether it uses anything of the feature: else the model counts as one without. */
  readonly needsFeature: boolean;
}

interface MapOutput {
  readonly stated: StatedTensor;
  readonly layout: Layout;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

interface Known {
  readonly trial: Trial;
  readonly input: Pick<ModelInput, 'layout' | 'hasBatchAxis'>;
  readonly stated: Partial<TeacherFacts>;
  readonly settings: OipSettings;
  readonly expected: ExpectedOutputs;
}

/** Whether outputs that the settings name are among the stated ones; a server may state none. */
export function checkOutputNames(
  outputs: readonly StatedTensor[],
  { logits, feature }: OipSettings,
  misfits: Misfits,
): void {
  if (outputs.length === 0) return;
  for (const [key, name] of Object.entries({ logits, feature })) {
    if (name === null || (key === 'feature' && name === NO_FEATURE)) continue;
    if (outputs.some((output) => output.name === name)) continue;
    misfits.fault(
      `teacher.oip.${key}: ${printable(name)} given, the model has ${tensorsText(outputs)}`,
    );
  }
}

/** Undefined: something is missing or doesn't fit, which `misfits` then says. */
export function readModelOutputs(known: Known, misfits: Misfits): ModelOutputs | undefined {
  const { trial } = known;
  const maps = trial.outputs.flatMap((stated) => mapOf(stated, known));
  const logits = logitsOf(maps, known, misfits);
  if (logits === undefined) return undefined;
  checkClasses(logits, known, misfits);
  const outputStride = strideOf(logits, known, misfits);
  const feature = featureOf(maps, logits, known, misfits);
  if (outputStride === undefined || feature === undefined) return undefined;
  return {
    outputs: [requested('logits', logits), ...feature.outputs],
    classes: logits.channels,
    featureChannels: feature.channels,
    outputStride,
  };
}

function requested(role: OutputRole, { stated, layout, channels }: MapOutput): ModelOutput {
  const { name, datatype, shape } = stated;
  const hasBatchAxis = shape.length === 4;
  return { role, name, datatype: datatype as OutputDatatype, layout, hasBatchAxis, channels };
}

/** An output as a map of channels; none if it can't be one. */
function mapOf(stated: StatedTensor, known: Known): MapOutput[] {
  const { shape } = stated;
  if (!OUTPUT_DATATYPES.some((each) => each === stated.datatype)) return [];
  // [h, w] of each image would look like a map without images.
  const isMap = known.input.hasBatchAxis
    ? shape.length === 4 && shape[0] === 1
    : shape.length === 3;
  if (!isMap || shape.some((size) => size < 1)) return [];
  const given = known.settings.outputLayout;
  const layouts: Layout[] = [known.input.layout, known.input.layout === 'nchw' ? 'nhwc' : 'nchw'];
  const readings = (given === null ? layouts : [given]).map((layout) => reading(stated, layout));
  // The output of the other order of axes is one whose size only fits so.
  return [readings.find((each) => fitsImage(each, known)) ?? readings[0]!];
}

function reading(stated: StatedTensor, layout: Layout): MapOutput {
  const [a, b, c] = stated.shape.slice(-3) as [number, number, number];
  const [channels, height, width] = layout === 'nchw' ? [a, b, c] : [c, a, b];
  return { stated, layout, channels, height, width };
}

function fitsImage({ height, width }: MapOutput, { trial, expected }: Known): boolean {
  const wanted = outputSize(trial.height, trial.width, expected.outputStride);
  return height === wanted[0] && width === wanted[1];
}

function logitsOf(
  maps: readonly MapOutput[],
  { trial, settings, stated, expected }: Known,
  misfits: Misfits,
): MapOutput | undefined {
  const { logits: name, classes, classNames } = settings;
  if (maps.length === 0) {
    return misfits.fault(
      `outputs: ${tensorsText(trial.outputs)} came, wanted logits of ${OUTPUT_DATATYPES.join(', ')} with channels, height and width`,
    );
  }
  const called = maps.find(({ stated: { name: each } }) => each === (name ?? 'logits'));
  if (called !== undefined) return called;
  if (name !== null) {
    return misfits.fault(
      `teacher.oip.logits: ${printable(name)} given, wanted one with channels, height and width of ${tensorsText(trial.outputs)}`,
    );
  }
  if (maps.length === 1) return maps[0];
  const count = classes ?? classNames?.length ?? stated.classNames?.length ?? expected.classes;
  const fitting = maps.filter(({ channels }) => channels === count);
  if (fitting.length === 1) return fitting[0];
  return misfits.ask('logits', `which of ${mapsText(maps)} has the class scores`);
}

function checkClasses(
  { channels, stated }: MapOutput,
  { settings, stated: facts }: Known,
  misfits: Misfits,
): void {
  const counts = {
    'teacher.oip.classes': settings.classes,
    'teacher.oip.classNames': settings.classNames?.length ?? null,
    'parameter cirkd.class_names': facts.classNames?.length || null,
  };
  for (const [key, count] of Object.entries(counts)) {
    if (count === null || count === channels) continue;
    misfits.fault(`${key}: ${count} given, output ${tensorText(stated)} has ${channels} channels`);
  }
}

function strideOf(
  logits: MapOutput,
  { trial, settings, stated, expected }: Known,
  misfits: Misfits,
): number | undefined {
  const fits = (stride: number) => {
    const [height, width] = outputSize(trial.height, trial.width, stride);
    return height === logits.height && width === logits.width;
  };
  const size = `${logits.height} x ${logits.width} for an image of ${trial.height} x ${trial.width}`;
  const given = {
    'teacher.oip.outputStride': settings.outputStride,
    'parameter cirkd.output_stride': stated.outputStride ?? null,
  };
  const wrong = Object.entries(given).find(([, stride]) => stride !== null && !fits(stride));
  if (wrong !== undefined) {
    return misfits.fault(`${wrong[0]}: ${wrong[1]} given, the model's logits are ${size}`);
  }
  const known = settings.outputStride ?? stated.outputStride;
  if (known !== undefined && known !== null) return known;
  if (fits(expected.outputStride)) return expected.outputStride;
  // Small maps fit several strides; networks usually have a power of two.
  const found = [...powersOfTwo(trial.height), ...wholeNumbers(trial.height)].find(fits);
  return found ?? misfits.fault(`outputStride: the model's logits are ${size}, no whole number`);
}

function powersOfTwo(most: number): number[] {
  const exponents = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, index) => index);
  return exponents.map((exponent) => 2 ** exponent);
}

/** 1, 2, ... up to `most`, or up to the largest stride that is looked for. */
function wholeNumbers(most: number): number[] {
  return Array.from({ length: Math.min(most, MAX_STRIDE) }, (_, index) => index + 1);
}

interface Feature {
  readonly outputs: readonly ModelOutput[];
  readonly channels: number;
}

/** The feature of a model; no outputs where it has none, or none is needed. */
function featureOf(
  maps: readonly MapOutput[],
  logits: MapOutput,
  known: Known,
  misfits: Misfits,
): Feature | undefined {
  const { feature: name } = known.settings;
  // Not used, not asked for: an answer may hold it or not.
  if (name === NO_FEATURE || !known.expected.needsFeature) return { outputs: [], channels: 0 };
  const rows = name === null ? ownRows(maps, logits, known) : undefined;
  if (rows !== undefined) return rows;
  const others = maps.filter((map) => map !== logits && isSameSize(map, logits));
  const called = others.find(({ stated }) => stated.name === (name ?? 'feature'));
  if (called !== undefined) return alone(called);
  if (name !== null) {
    return misfits.fault(
      `teacher.oip.feature: ${printable(name)} given, wanted one with the logits' size, ${logits.height} x ${logits.width}: ${mapsText(others)}`,
    );
  }
  // Auxiliary logits have the logits' channels.
  const fitting = others.filter(({ channels }) => channels !== logits.channels);
  if (fitting.length > 1) {
    return misfits.ask('feature', `which of ${mapsText(fitting)}, or ${NO_FEATURE}`);
  }
  return fitting.length === 1 ? alone(fitting[0]!) : { outputs: [], channels: 0 };
}

function alone(map: MapOutput): Feature {
  return { outputs: [requested('feature', map)], channels: map.channels };
}

/** The feature as unit rows and their norms, as this project's own teachers give it. */
function ownRows(
  maps: readonly MapOutput[],
  logits: MapOutput,
  { trial }: Known,
): Feature | undefined {
  const embedding = maps.find(({ stated }) => stated.name === 'embedding');
  const norm = trial.outputs.find(({ name }) => name === 'feature_norm');
  if (embedding === undefined || norm === undefined || !isSameSize(embedding, logits)) {
    return undefined;
  }
  const { name, datatype, shape } = norm;
  const hasBatchAxis = shape.length === 3;
  const wanted = [...(hasBatchAxis ? [1] : []), logits.height, logits.width];
  if (datatype !== 'FP32' || shape.join() !== wanted.join()) return undefined;
  const layout = embedding.layout;
  return {
    outputs: [
      requested('embedding', embedding),
      { role: 'feature_norm', name, datatype, layout, hasBatchAxis, channels: null },
    ],
    channels: embedding.channels,
  };
}

function isSameSize(one: MapOutput, other: MapOutput): boolean {
  return one.height === other.height && one.width === other.width;
}

function mapsText(maps: readonly MapOutput[]): string {
  return (
    maps
      .slice(0, MOST_SHOWN)
      .map(
        ({ stated, channels, height, width }) =>
          `${printable(stated.name)} (${channels} channels, ${height} x ${width})`,
      )
      .join(', ') || 'none'
  );
}
