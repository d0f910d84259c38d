/** Options of a command line, each with how its text is read: a wrong one is named before anything is done. */
import { parseArgs } from 'node:util';
import { UsageError } from '../../services/cli/command.js';
import { wholeNumber as readWholeNumber } from '../../services/cli/datasetOptions.js';

export interface Option<Value> {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  /** Throws UsageError. @param given undefined where the option isn't there */
  read(given: Given, name: string): Value;
}

type Given = string | boolean | readonly (string | boolean)[] | undefined;

export type Options = Readonly<Record<string, Option<unknown>>>;

export type ValuesOf<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends Option<infer Value> ? Value : never;
};

/** Throws UsageError, or parseArgs' own error for an option that isn't one of these. */
export function readOptions<O extends Options>(options: O, argv: readonly string[]): ValuesOf<O> {
  const declared = Object.entries(options).map(([name, { type, multiple = false }]) => [
    name,
    { type, multiple },
  ]);
  const parsed = parseArgs({ args: [...argv], options: Object.fromEntries(declared) });
  const values = parsed.values as Readonly<Record<string, Given>>;
  const read = Object.entries(options).map(([name, option]) => [
    name,
    option.read(values[name], `--${name}`),
  ]);
  return Object.fromEntries(read) as ValuesOf<O>;
}

export const flag: Option<boolean> = { type: 'boolean', read: (given) => given === true };

/** Given any number of times. */
export const texts: Option<readonly string[]> = {
  type: 'string',
  multiple: true,
  read: (given) => (given ?? []) as string[],
};

export function text<T extends string | undefined = undefined>(otherwise?: T): Option<string | T> {
  return { type: 'string', read: (given) => (given as string | undefined) ?? (otherwise as T) };
}

/** At least 1. */
export function wholeNumber(otherwise: number): Option<number> {
  return parsed(String(otherwise), (given, name) => readWholeNumber(name, given, 1));
}

/** At least 0. */
export function number(otherwise: number): Option<number> {
  return parsed(String(otherwise), readNumber);
}

/** With commas between them. */
export function wholeNumbers(otherwise: string, least = 1): Option<number[]> {
  return parsed(otherwise, (given, name) =>
    given.split(',').map((each) => readWholeNumber(name, each, least)),
  );
}

/** Two whole numbers each, as in 32x64,64x128. */
export function pairs(otherwise: string, between: string): Option<(readonly [number, number])[]> {
  return parsed(otherwise, (given, name) =>
    given.split(',').map((pair) => {
      const [first, second, ...more] = pair.split(between);
      if (first === undefined || second === undefined || more.length > 0) {
        const wanted = `pairs such as ${otherwise.split(',')[0]} with commas between them`;
        throw new UsageError(`${name}: ${pair} given, wanted ${wanted}`);
      }
      return [readWholeNumber(name, first, 1), readWholeNumber(name, second, 1)] as const;
    }),
  );
}

function parsed<Value>(
  otherwise: string,
  read: (given: string, name: string) => Value,
): Option<Value> {
  return { type: 'string', read: (given, name) => read((given as string) ?? otherwise, name) };
}

function readNumber(given: string, name: string): number {
  const value = Number(given);
  if (given.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new UsageError(`${name}: ${given} given, wanted a number of at least 0`);
}
