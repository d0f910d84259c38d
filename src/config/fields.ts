/** The parts that schemas are put together from: a zod type with its doc line, unit and notes. */
import { z } from 'zod';

export interface FieldNotes {
  /** One line for people. */
  readonly doc: string;
  readonly unit?: string;
  /** A resumed run must have the same value; a section passes it on to its keys. */
  readonly fixed?: boolean;
  /** What is wanted, where the zod type alone doesn't say it readably. */
  readonly wanted?: string;
}

/** Our own registry, so that notes of other users of zod don't mix with these. */
export const fieldNotes = z.registry<FieldNotes>();

/** A schema with a check across keys and a name for messages and docs. */
export interface ConfigSchema<T> {
  readonly service: string;
  readonly root: z.ZodType<T>;
  /** Faults that no single key has; called with a config whose keys are each right. */
  readonly crossFaults: (config: T) => CrossFault[];
  /**
   * Keys of earlier versions that left no choice, with the value that now always holds: files and
   * saved runs that say so are taken as if they didn't.
   */
  readonly retired?: Readonly<Record<string, unknown>>;
}

export interface CrossFault {
  /** The keys that take part; the first is the one to change. */
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}

/** Adds the notes of a key to its type. The last call on a type: zod's methods make new types. */
export function field<T extends z.ZodType>(
  type: T,
  doc: string,
  notes: Omit<FieldNotes, 'doc'> = {},
): T {
  fieldNotes.add(type, { doc, ...notes });
  return type;
}

/** A section that may be left out: its keys have defaults, or are then named as missing. */
export function section<S extends z.ZodRawShape>(
  doc: string,
  shape: S,
  notes: Omit<FieldNotes, 'doc'> = {},
): z.ZodPrefault<z.ZodObject<S, z.core.$strict>> {
  // An empty section, not a default value: the keys' own defaults and faults apply inside.
  return field(z.strictObject(shape).prefault({} as never), doc, notes);
}

export const count = (): z.ZodNumber => z.number().int().min(0);
export const positiveCount = (): z.ZodNumber => z.number().int().min(1);
export const positive = (): z.ZodNumber => z.number().gt(0);
export const nonNegative = (): z.ZodNumber => z.number().min(0);
export const text = (): z.ZodString => z.string().min(1);
export const milliseconds = (): z.ZodNumber => z.number().int().min(0).max(2_147_483_647);
export const port = (): z.ZodNumber => z.number().int().min(0).max(65_535);
