/**
 * What a model says of itself as a teacher, in the `parameters` of its ModelConfig: the facts that the
 * protocol has no field for. Each value is JSON in string_value; a text may also be written without
 * quotes.
 */
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { printable } from '../../wire/printable.js';

const PREFIX = 'cirkd.';

/** Facts of the teacher's info that travel as parameters. */
export type TeacherFacts = Pick<
  TeacherInfo,
  | 'digest'
  | 'model'
  | 'outputStride'
  | 'pixelMean'
  | 'pixelStd'
  | 'channelOrder'
  | 'alignCorners'
  | 'classNames'
  | 'numericMode'
>;

type FactName = keyof TeacherFacts;

interface Fact {
  /** Without the prefix. */
  readonly parameter: string;
  readonly wanted: string;
  fits(value: unknown): boolean;
}

const text: Omit<Fact, 'parameter'> = {
  wanted: 'a text',
  fits: (value) => typeof value === 'string' && value !== '',
};

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);

const FACTS: Readonly<Record<FactName, Fact>> = {
  digest: { parameter: 'digest', ...text },
  model: { parameter: 'model', ...text },
  numericMode: { parameter: 'numeric_mode', ...text },
  outputStride: {
    ...{ parameter: 'output_stride', wanted: 'a whole number >= 1' },
    fits: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
  },
  pixelMean: {
    ...{ parameter: 'pixel_mean', wanted: 'a list of three numbers' },
    fits: (value) => isThree(value, isNumber),
  },
  pixelStd: {
    ...{ parameter: 'pixel_std', wanted: 'a list of three numbers > 0' },
    fits: (value) => isThree(value, (each) => isNumber(each) && (each as number) > 0),
  },
  channelOrder: {
    ...{ parameter: 'channel_order', wanted: 'rgb or bgr' },
    fits: (value) => value === 'rgb' || value === 'bgr',
  },
  alignCorners: {
    ...{ parameter: 'align_corners', wanted: 'true or false' },
    fits: (value) => typeof value === 'boolean',
  },
  classNames: {
    ...{ parameter: 'class_names', wanted: 'a list of texts' },
    fits: (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
  },
};

/** A parameter that can't be read; the message names it, what came and what was wanted. */
export class ModelParameterError extends Error {
  override readonly name = 'ModelParameterError';
}

/** The facts that the parameters state. Throws ModelParameterError for a malformed one. */
export function readModelParameters(
  parameters: Readonly<Record<string, { readonly stringValue: string }>>,
): Partial<TeacherFacts> {
  const read: Partial<Record<FactName, unknown>> = {};
  for (const name of Object.keys(FACTS) as FactName[]) {
    const { parameter, wanted, fits } = FACTS[name];
    const given = parameters[`${PREFIX}${parameter}`]?.stringValue;
    if (given === undefined) continue;
    const value = parsed(given);
    if (!fits(value)) {
      throw new ModelParameterError(
        `parameter ${PREFIX}${parameter}: ${printable(given)} given, wanted ${wanted}`,
      );
    }
    read[name] = value;
  }
  return read as Partial<TeacherFacts>;
}

function parsed(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

function isThree(value: unknown, fits: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length === 3 && value.every(fits);
}
