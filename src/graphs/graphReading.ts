/**
 * All that a teacher must know of a graph: what was said, what the graph shows, and what is missing or
 * doesn't fit, all of it at once.
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
  type SaidSettings,
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
  tellFeature,
  tellLogits,
} from './outputRoles.js';
import { type Trial, type TrialOutput, trialRun } from './trialRun.js';

/** What may hold logits or a feature. */
const FLOATS = new Set(['float32', 'float16', 'half', 'bfloat16', 'float64']);

const ASKED = {
  layout: 'nchw or nhwc: the input shows no axis of 3 channels, or two',
  normalisation:
    'what the graph wants of pixels: imagenet, official, unit or none; or all of pixelMean, pixelStd, channelOrder',
} as const;

/** Runs the graph once where its input can be made. */
export async function readGraph(graph: Graph, said: SaidSettings): Promise<GraphReading> {
  const reader = new GraphReader(graph, said);
  await reader.read();
  return reader.reading;
}

class GraphReader {
  readonly #graph: Graph;
  readonly #settings: GraphSettings;
  readonly #origins: SaidSettings['origins'];
  readonly #findings: Finding[] = [];
  readonly #missing: string[] = [];
  readonly #faults: string[] = [];
  #description: GraphDescription | null = null;

  constructor(graph: Graph, { settings, origins }: SaidSettings) {
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
    if (reading.layout === null) this.#ask('layout', ASKED.layout);
    else this.#find('layout', reading.layout, 'where the 3 is');
    return reading;
  }

  #normalisation(): PixelNormalisation | undefined {
    const normalisation = normalisationOf(this.#settings);
    if (normalisation === undefined) {
      this.#ask('normalisation', ASKED.normalisation);
      return undefined;
    }
    const key = this.#settings.normalisation === null ? 'pixelMean' : 'normalisation';
    this.#find(key, normalisationText(normalisation), '');
    const fault = dtypeFault(this.#graph.inputs[0]!, normalisation);
    if (fault !== null) this.#faults.push(fault);
    return normalisation;
  }

  /** Names of those that may hold maps of numbers; none where a setting names one that isn't there. */
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
    this.#find('alignCorners', String(this.#settings.alignCorners ?? DEFAULT_ALIGN_CORNERS), '');
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
    const said = outputs.find((output) => output.name === name);
    if (name !== null && said === undefined) {
      this.#faults.push(`logits: ${printable(name)} given, which has other than four axes`);
      return null;
    }
    const told =
      said === undefined
        ? tellLogits(outputs, classes ?? classNames?.length ?? null)
        : { value: said, why: '' };
    if ('ask' in told) {
      this.#ask('logits', told.ask);
      return null;
    }
    this.#find('logits', describeOutput(told.value), told.why);
    return told.value;
  }

  #checkClasses({ name, channels }: TrialOutput): void {
    const { classes, classNames } = this.#settings;
    this.#find('classes', String(channels), "the logits' channels");
    if (classNames !== null) this.#find('classNames', classNames.map(printable).join(', '), '');
    const counts = { classes, classNames: classNames?.length ?? null };
    for (const key of ['classes', 'classNames'] as const) {
      if (counts[key] === null || counts[key] === channels) continue;
      this.#faults.push(
        `${key}: ${counts[key]} given (${this.#origins[key]}), output '${printable(name)}' has ${channels} channels`,
      );
    }
  }

  /** null: there is none; undefined: it isn't clear. */
  #feature(outputs: readonly TrialOutput[], logits: TrialOutput): TrialOutput | null | undefined {
    const { feature: name } = this.#settings;
    const others = outputs.filter((output) => output !== logits);
    const said = others.find((output) => output.name === name);
    if (name !== null && name !== NO_FEATURE && said === undefined) {
      this.#faults.push(
        `feature: ${printable(name)} given (${this.#origins.feature}), wanted one of ${listed(others) || 'no output: there is none beside the logits'}`,
      );
      return undefined;
    }
    const told = name === null ? tellFeature(others, logits) : { value: said ?? null, why: '' };
    if ('ask' in told) {
      this.#ask('feature', told.ask);
      return undefined;
    }
    const { value, why } = told;
    this.#find('feature', value === null ? NO_FEATURE : describeOutput(value), why);
    if (value !== null && !sameSize(value, logits)) {
      this.#faults.push(
        `feature: ${describeOutput(value)} given, wanted the logits' size, ${logits.height} x ${logits.width}; feature: ${NO_FEATURE} leaves it out`,
      );
    }
    return value;
  }

  #stride(trial: Trial, logits: TrialOutput): number | null {
    const { outputStride } = this.#settings;
    const told = strideOf(trial, logits);
    const size = `${logits.height} x ${logits.width} for an image of ${trial.height} x ${trial.width}`;
    if (told === undefined) {
      this.#faults.push(
        `outputStride: logits of ${size}, wanted a whole number of pixels each way`,
      );
      return null;
    }
    this.#find('outputStride', String(outputStride ?? told), `logits of ${size}`);
    if (outputStride !== null && strideOfSaid(trial, logits, outputStride)) return outputStride;
    if (outputStride === null) return told;
    this.#faults.push(
      `outputStride: ${outputStride} given (${this.#origins.outputStride}), logits of ${size} have ${told}`,
    );
    return null;
  }

  #ask(key: SettingName, what: string): void {
    this.#missing.push(`${key} (${what})`);
  }

  #find(key: SettingName, value: string, why: string): void {
    const told = why === '' ? 'default' : `the graph: ${why}`;
    this.#findings.push({ key, value, from: this.#origins[key] ?? told });
  }
}

/** Whether a stride that is said fits as well as the one that is told. */
function strideOfSaid(trial: Trial, logits: TrialOutput, stride: number): boolean {
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
