/** The building blocks of schemas: a zod type with its doc line, unit and notes. */
import { z } from 'zod';

export interface FieldNotes {
  /** The key's meaning, in one line. */
  readonly doc: string;
  readonly unit?: string;
  /** Whether a resumed run must have the same value. The keys of a section inherit it. */
  readonly fixed?: boolean;
  /** Text for the wanted value, if one made from the zod type wouldn't be readable. */
  readonly wanted?: string;
  /** The path of a file or folder: `~/` stands for the home folder. */
  readonly isPath?: boolean;
}

/** A separate registry, so that these notes don't mix with those of other users of zod. */
export const fieldNotes = z.registry<FieldNotes>();

/** A schema with a check across keys and a name for messages and docs. */
export interface ConfigSchema<T> {
  readonly service: string;
  readonly root: z.ZodType<T>;
  /** Finds faults that involve several keys; called if each key on its own is valid. */
  readonly crossFaults: (config: T) => CrossFault[];
  /**
   * Keys of earlier versions that left no choice, with the value that now always holds: files and
   * saved runs that say so are taken as if they didn't.
   */
  readonly retired?: Readonly<Record<string, unknown>>;
}

export interface CrossFault {
  /** The keys involved; the first is the one to change. */
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}

/** Adds the notes of a key to its type. Call it last, because zod's methods return new types. */
export function field<T extends z.ZodType>(
  type: T,
  doc: string,
  notes: Omit<FieldNotes, 'doc'> = {},
): T {
  fieldNotes.add(type, { doc, ...notes });
  return type;
}

/** A section that may be omitted: its keys have defaults, or are then reported as missing. */
export function section<S extends z.ZodRawShape>(
  doc: string,
  shape: S,
  notes: Omit<FieldNotes, 'doc'> = {},
): z.ZodPrefault<z.ZodObject<S, z.core.$strict>> {
  // An empty section instead of a default value, so that the keys' own defaults and checks apply.
  return field(z.strictObject(shape).prefault({} as never), doc, notes);
}

export const count = (): z.ZodNumber => z.number().int().min(0);
export const positiveCount = (): z.ZodNumber => z.number().int().min(1);
export const positive = (): z.ZodNumber => z.number().gt(0);
export const nonNegative = (): z.ZodNumber => z.number().min(0);
export const text = (): z.ZodString => z.string().min(1);
export const milliseconds = (): z.ZodNumber => z.number().int().min(0).max(2_147_483_647);
export const port = (): z.ZodNumber => z.number().int().min(0).max(65_535);
