/** A command line, checked before anything is done: zod says what each option takes. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { UsageError } from '../../services/cli/command.js';

/** Texts become values. One that takes `true` is a switch, one that takes a list is given any number of times. */
export type Options = Readonly<Record<string, z.ZodType>>;

export type ValuesOf<O extends Options> = { readonly [Name in keyof O]: z.output<O[Name]> };

/** Throws UsageError, or parseArgs' own error for an option that isn't one of these. */
export function readOptions<O extends Options>(options: O, argv: readonly string[]): ValuesOf<O> {
  const takes = (option: z.ZodType, value: unknown) => option.safeParse(value).success;
  const declared = Object.entries(options).map(([name, option]) => {
    const type = takes(option, true) ? ('boolean' as const) : ('string' as const);
    return [name, { type, multiple: takes(option, []) }];
  });
  const parsed = parseArgs({ args: [...argv], options: Object.fromEntries(declared) });
  const given = parsed.values as Readonly<Record<string, unknown>>;
  const read = Object.entries(options).map(([name, option]) => {
    const { success, data, error } = option.safeParse(given[name]);
    if (success) return [name, data];
    const wanted = option.description ?? error.issues[0]!.message;
    throw new UsageError(`--${name}: ${given[name]} given, wanted ${wanted}`);
  });
  return Object.fromEntries(read) as ValuesOf<O>;
}

/** Where --help is among the arguments: prints what each option takes, and what it is unless given. */
export function helped(
  usage: string,
  options: Options,
  argv: readonly string[],
  print: (text: string) => void = (text) => process.stdout.write(text),
): boolean {
  if (!argv.includes('--help')) return false;
  const lines = Object.entries(options).map(([name, option]) => {
    const unlessGiven = JSON.stringify(option.safeParse(undefined).data) ?? '';
    const otherwise = ['', '[]', 'false'].includes(unlessGiven) ? '' : ` (default ${unlessGiven})`;
    return `  --${name.padEnd(17)} ${option.description ?? ''}${otherwise}`.trimEnd();
  });
  print([`usage: ${usage}`, ...lines, ''].join('\n'));
  return true;
}

export const flag = z.boolean().default(false);

/** Given any number of times. */
export const texts = z.array(z.string()).default([]);

export const text = z.string().optional();

const whole = (least: number) => z.number().int().min(least);
const toNumber = z.string().transform(Number);
const listOf = <Item>(read: (text: string) => Item) =>
  z.string().transform((given) => given.split(',').map(read));

export const wholeNumber = (otherwise: number) =>
  toNumber.pipe(whole(1)).default(otherwise).describe('a whole number of at least 1');

export const number = (otherwise: number) =>
  toNumber.pipe(z.number().min(0)).default(otherwise).describe('a number of at least 0');

export const wholeNumbers = (otherwise: number[], least = 1) =>
  listOf(Number)
    .pipe(z.array(whole(least)))
    .default(otherwise)
    .describe(`whole numbers of at least ${least} with commas between them`);

export const pairs = (between: string, otherwise: [number, number][]) =>
  listOf((text) => text.split(between).map(Number) as [number, number])
    .pipe(z.array(z.tuple([whole(1), whole(1)])))
    .default(otherwise)
    .describe(`pairs such as ${otherwise[0]!.join(between)} with commas between them`);

/** Some of `known`; all unless given. */
export const names = <const Name extends string>(known: readonly [Name, ...Name[]]) =>
  listOf((text) => text)
    .pipe(z.array(z.enum(known)))
    .default([...known])
    .describe(`some of ${known.join(', ')} with commas between them`);
