/**
 * Gathers what a teacher must know about a graph from its settings and the graph itself, and reports
 * everything that is missing or doesn't fit at once.
 */
import type { PixelNormalisation } from '../models/normalise.js';
import { printable } from '../wire/printable.js';
import type { Graph, GraphTensor } from './graph.js';
import type { Finding, GraphDescription, GraphReading } from './graphDescription.js';
import {
  DEFAULT_ALIGN_CORNERS,
  type GraphSettings,
  NO_FEATURE,
  normalisationOf,
  type GivenSettings,
  type SettingName,
} from './graphSettings.js';
import {
  dtypeFault,
  type InputReading,
  normalisationText,
  readInput,
  shapeText,
} from './inputReading.js';
import {
  describeOutput,
  listed,
  sameSize,
  strideOf,
  detectFeature,
  detectLogits,
} from './outputRoles.js';
import { type Trial, type TrialOutput, trialRun } from './trialRun.js';

/** Dtypes of outputs that may be logits or a feature. */
const FLOATS = new Set(['float32', 'float16', 'half', 'bfloat16', 'float64']);

const ASKED = {
  layout: 'nchw or nhwc: the input shows no axis of 3 channels, or two',
  normalisation:
    'the pixels that the graph expects: imagenet, official, unit or none; or all of pixelMean, pixelStd, channelOrder',
} as const;

/** Runs the graph once, if its input is known well enough to make one. */
export async function readGraph(graph: Graph, given: GivenSettings): Promise<GraphReading> {
  const reader = new GraphReader(graph, given);
  await reader.read();
  return reader.reading;
}

class GraphReader {
  readonly #graph: Graph;
  readonly #settings: GraphSettings;
  readonly #origins: GivenSettings['origins'];
  readonly #findings: Finding[] = [];
  readonly #missing: string[] = [];
  readonly #faults: string[] = [];
  #description: GraphDescription | null = null;

  constructor(graph: Graph, { settings, origins }: GivenSettings) {
    this.#graph = graph;
    this.#settings = settings;
    this.#origins = origins;
  }

  get reading(): GraphReading {
    const isWhole = this.#missing.length + this.#faults.length === 0;
    return {
      findings: this.#findings,
      missing: this.#missing,
      faults: this.#faults,
      description: isWhole ? this.#description : null,
    };
  }

  async read(): Promise<void> {
    const input = this.#input();
    const normalisation = this.#normalisation();
    const usable = this.#usableOutputs();
    if (input === null || input.layout === null || usable.length === 0) return;
    const trial = await trialRun(this.#graph, input.layout, input.size, usable);
    if (trial instanceof Error) {
      this.#faults.push(`a trial run failed ${trial.message}`);
      return;
    }
    const roles = this.#roles(trial);
    if (roles === null || normalisation === undefined) return;
    const { alignCorners, classNames } = this.#settings;
    this.#description = {
      ...roles,
      layout: input.layout,
      normalisation,
      alignCorners: alignCorners ?? DEFAULT_ALIGN_CORNERS,
      classNames: classNames ?? [],
      isSingle: input.isSingle,
      size: input.size,
    };
  }

  #input(): InputReading | null {
    const reading = readInput(this.#graph.inputs[0]!, this.#settings.layout);
    if (reading instanceof Error) {
      this.#faults.push(reading.message);
      return null;
    }
    if (reading.layout === null) this.#addMissing('layout', ASKED.layout);
    else this.#addFinding('layout', reading.layout, 'where the 3 is');
    return reading;
  }

  #normalisation(): PixelNormalisation | undefined {
    const normalisation = normalisationOf(this.#settings);
    if (normalisation === undefined) {
      this.#addMissing('normalisation', ASKED.normalisation);
      return undefined;
    }
    const key = this.#settings.normalisation === null ? 'pixelMean' : 'normalisation';
    this.#addFinding(key, normalisationText(normalisation), '');
    const fault = dtypeFault(this.#graph.inputs[0]!, normalisation);
    if (fault !== null) this.#faults.push(fault);
    return normalisation;
  }

  /** Names of the outputs that may be maps of floats; none if a setting names another output. */
  #usableOutputs(): string[] {
    const { outputs } = this.#graph;
    const usable = outputs.filter(isMap);
    if (usable.length === 0) {
      this.#faults.push(
        `outputs: ${outputs.map(outputText).join(', ')} given, wanted logits: one of float numbers with four axes`,
      );
    }
    const unknown = (['logits', 'feature'] as const).filter((key) => {
      const name = this.#settings[key];
      if (name === null || (key === 'feature' && name === NO_FEATURE)) return false;
      return !usable.some((output) => output.name === name);
    });
    for (const key of unknown) {
      this.#faults.push(
        `${key}: ${printable(this.#settings[key]!)} given (${this.#origins[key]}), wanted one of the outputs ${outputs.map(outputText).join(', ')}`,
      );
    }
    return unknown.length > 0 ? [] : usable.map(({ name }) => name);
  }

  #roles(
    trial: Trial,
  ): Omit<
    GraphDescription,
    'layout' | 'normalisation' | 'alignCorners' | 'classNames' | 'isSingle' | 'size'
  > | null {
    if (trial.outputs.length === 0) {
      this.#faults.push('outputs: none with four axes, wanted logits with height and width');
      return null;
    }
    const logits = this.#logits(trial.outputs);
    if (logits === null) return null;
    this.#checkClasses(logits);
    const feature = this.#feature(trial.outputs, logits);
    const outputStride = this.#stride(trial, logits);
    this.#addFinding(
      'alignCorners',
      String(this.#settings.alignCorners ?? DEFAULT_ALIGN_CORNERS),
      '',
    );
    if (feature === undefined || outputStride === null) return null;
    return {
      logits: logits.name,
      feature: feature?.name ?? null,
      classes: logits.channels,
      featureChannels: feature?.channels ?? 0,
      outputStride,
    };
  }

  #logits(outputs: readonly TrialOutput[]): TrialOutput | null {
    const { logits: name, classes, classNames } = this.#settings;
    const given = outputs.find((output) => output.name === name);
    if (name !== null && given === undefined) {
      this.#faults.push(`logits: ${printable(name)} given, which has other than four axes`);
      return null;
    }
    const detected =
      given === undefined
        ? detectLogits(outputs, classes ?? classNames?.length ?? null)
        : { value: given, why: '' };
    if ('ask' in detected) {
      this.#addMissing('logits', detected.ask);
      return null;
    }
    this.#addFinding('logits', describeOutput(detected.value), detected.why);
    return detected.value;
  }

  #checkClasses({ name, channels }: TrialOutput): void {
    const { classes, classNames } = this.#settings;
    this.#addFinding('classes', String(channels), "the logits' channels");
    if (classNames !== null)
      this.#addFinding('classNames', classNames.map(printable).join(', '), '');
    const counts = { classes, classNames: classNames?.length ?? null };
    for (const key of ['classes', 'classNames'] as const) {
      if (counts[key] === null || counts[key] === channels) continue;
      this.#faults.push(
        `${key}: ${counts[key]} given (${this.#origins[key]}), output '${printable(name)}' has ${channels} channels`,
      );
    }
  }

  /** null: there is no feature; undefined: it isn't clear which output it is, or the setting is wrong. */
  #feature(outputs: readonly TrialOutput[], logits: TrialOutput): TrialOutput | null | undefined {
    const { feature: name } = this.#settings;
    const others = outputs.filter((output) => output !== logits);
    const given = others.find((output) => output.name === name);
    if (name !== null && name !== NO_FEATURE && given === undefined) {
      this.#faults.push(
        `feature: ${printable(name)} given (${this.#origins.feature}), wanted one of ${listed(others) || 'no output: there is none besides the logits'}`,
      );
      return undefined;
    }
    const detected =
      name === null ? detectFeature(others, logits) : { value: given ?? null, why: '' };
    if ('ask' in detected) {
      this.#addMissing('feature', detected.ask);
      return undefined;
    }
    const { value, why } = detected;
    this.#addFinding('feature', value === null ? NO_FEATURE : describeOutput(value), why);
    if (value !== null && !sameSize(value, logits)) {
      this.#faults.push(
        `feature: ${describeOutput(value)} given, wanted the logits' size, ${logits.height} x ${logits.width}; feature: ${NO_FEATURE} leaves it out`,
      );
    }
    return value;
  }

  #stride(trial: Trial, logits: TrialOutput): number | null {
    const { outputStride } = this.#settings;
    const detected = strideOf(trial, logits);
    const size = `${logits.height} x ${logits.width} for an image of ${trial.height} x ${trial.width}`;
    if (detected === undefined) {
      this.#faults.push(
        `outputStride: logits of ${size}, wanted a whole number of pixels each way`,
      );
      return null;
    }
    this.#addFinding('outputStride', String(outputStride ?? detected), `logits of ${size}`);
    if (outputStride !== null && strideFits(trial, logits, outputStride)) return outputStride;
    if (outputStride === null) return detected;
    this.#faults.push(
      `outputStride: ${outputStride} given (${this.#origins.outputStride}), logits of ${size} have ${detected}`,
    );
    return null;
  }

  #addMissing(key: SettingName, what: string): void {
    this.#missing.push(`${key} (${what})`);
  }

  #addFinding(key: SettingName, value: string, why: string): void {
    const detected = why === '' ? 'default' : `the graph: ${why}`;
    this.#findings.push({ key, value, from: this.#origins[key] ?? detected });
  }
}

/** Whether the stride given in the settings fits the sizes, too. */
function strideFits(trial: Trial, logits: TrialOutput, stride: number): boolean {
  const fits = (image: number, output: number) => Math.ceil(image / stride) === output;
  return fits(trial.height, logits.height) && fits(trial.width, logits.width);
}

function isMap({ dtype, shape }: GraphTensor): boolean {
  return FLOATS.has(dtype) && (shape === undefined || shape.length === 4);
}

/** "out float32 [?, 21, ?, ?]" */
function outputText({ name, dtype, shape }: GraphTensor): string {
  return `${printable(name)} ${dtype} ${shapeText(shape)}`;
}
