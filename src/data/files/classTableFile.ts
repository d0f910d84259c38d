/** Reads class tables from files: YAML (or JSON, which is YAML), a list of {id, name, colour, ignore}. */
import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { generalPalette } from '../generalPalette.js';
import { DataError, UNLABELLED } from '../types.js';
import { CAMVID_TABLE } from './camvid.js';
import { CITYSCAPES_TABLE } from './cityscapesClasses.js';
import { ADE20K_TABLE } from './classes/ade20k.js';
import { COCO_STUFF_TABLE, COCO_STUFF_TABLE_182 } from './classes/cocoStuff.js';
import { VOC_TABLE } from './classes/voc.js';
import {
  type ClassEntry,
  type ClassTable,
  classTable,
  type Colour,
  colourKey,
  idsOf,
} from './classTable.js';
import { fileError } from './fileList.js';

/** Built-in tables, by name. */
const KNOWN: Readonly<Record<string, ClassTable>> = {
  camvid: CAMVID_TABLE,
  cityscapes: CITYSCAPES_TABLE,
  voc: VOC_TABLE,
  ade20k: ADE20K_TABLE,
  cocostuff: COCO_STUFF_TABLE,
  'cocostuff-182': COCO_STUFF_TABLE_182,
};

/** Ample for thousands of entries; a larger file is something else. */
const MAX_BYTES = 1_048_576;
/** Faults listed per file. */
const MAX_ISSUES = 5;

const byte = z.int().min(0).max(255);
const id = z.int().min(0).max(65_535);
const entrySchema = z.strictObject({
  id: z.union([id, z.array(id).min(1)]),
  // Names are printed in terminals and reports.
  name: z
    .union([z.string(), z.number().transform(String)])
    .refine((name) => /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u.test(name))
    .optional(),
  colour: z.tuple([byte, byte, byte]).optional(),
  ignore: z.boolean().default(false),
});
const tableSchema = z.array(entrySchema).min(1);

type Entry = z.infer<typeof entrySchema>;

/** What each field of an entry wants, in words. */
const WANTED: Readonly<Record<string, string>> = {
  id: 'a whole number from 0 to 65535, or a list of them',
  name: 'text without control characters',
  colour: '[red, green, blue], each from 0 to 255',
  ignore: 'true or false',
};

/**
 * Entries have one id or several. A name may be left out of ignored entries; a colour of any, unless label files
 * hold colours: then one is made that no other entry has.
 *
 * @param source a file, or the name of a table in KNOWN.
 * @param byColour label files hold colours, so the classes' colours must be given and differ.
 * @throws DataError naming the file, the entry and its field.
 */
export function readClassTable(source: string, byColour: boolean): ClassTable {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined;
  if (known !== undefined) return builtIn(source, known, byColour);
  const yaml = readYaml(source);
  const parsed = tableSchema.safeParse(yaml);
  if (!parsed.success) throw malformed(source, yaml, parsed.error.issues);
  const entries = complete(source, parsed.data, byColour);
  checkEntries(source, entries, byColour);
  return classTable(entries);
}

function builtIn(name: string, table: ClassTable, byColour: boolean): ClassTable {
  const colours = new Set(table.palette.map((colour) => colourKey(...colour)));
  if (byColour && colours.size < table.palette.length) {
    throw new DataError(
      `classTable: got ${name}, of whose classes some share a colour, wanted label files with numbers (labelValues: index)`,
    );
  }
  return table;
}

function readYaml(file: string): unknown {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > MAX_BYTES) throw new Error(`${size} bytes, wanted at most ${MAX_BYTES}`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError(file, error);
  }
  try {
    return parse(text);
  } catch (error) {
    throw new DataError(`${file}: not YAML: ${(error as Error).message.split('\n')[0]}`, {
      cause: error,
    });
  }
}

function malformed(file: string, yaml: unknown, issues: readonly z.core.$ZodIssue[]): DataError {
  const faults = [...new Set(issues.flatMap((issue) => faultsOf(issue, yaml)))];
  const listed = faults.slice(0, MAX_ISSUES);
  if (faults.length > MAX_ISSUES) listed.push(`and ${faults.length - MAX_ISSUES} more`);
  return new DataError(
    `${file}: not a class table, a list of {id, name, colour: [r, g, b], ignore}: ${listed.join('; ')}`,
  );
}

/** In words: "entry 3, colour: got [1, 2], wanted [red, green, blue], each from 0 to 255". */
function faultsOf(issue: z.core.$ZodIssue, yaml: unknown): string[] {
  const [index, field] = issue.path;
  if (typeof index !== 'number')
    return [`got ${shown(yaml)}, wanted a list with an entry per class`];
  const place = `entry ${index + 1}`;
  const entry = (yaml as unknown[])[index];
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(WANTED).join(', ');
    return issue.keys.map((key) => `${place}: got the unknown field ${key}, wanted ${known}`);
  }
  if (typeof field !== 'string') return [`${place}: got ${shown(entry)}, wanted {id, name, …}`];
  const value = (entry as Record<string, unknown>)[field];
  return [`${place}, ${field}: got ${shown(value)}, wanted ${WANTED[field]}`];
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const json = JSON.stringify(value) ?? typeof value;
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}

/** Entries with a name and a colour each. */
function complete(file: string, given: readonly Entry[], byColour: boolean): ClassEntry[] {
  const taken = new Set(given.flatMap(({ colour }) => (colour ? [colourKey(...colour)] : [])));
  // Black, the first, is the usual colour of what is ignored.
  const free = generalPalette(2 * given.length + taken.size + 1)
    .slice(1)
    .filter((colour) => !taken.has(colourKey(...colour)));
  let made = 0;
  return given.map((entry, i) => {
    const place = `${file}: entry ${i + 1}`;
    if (entry.name === undefined && !entry.ignore) {
      throw new DataError(`${place}, name: got nothing, wanted ${WANTED['name']}`);
    }
    if (entry.colour === undefined && byColour) {
      throw new DataError(
        `${place}, colour: got nothing, wanted ${WANTED['colour']}, since labels are colours`,
      );
    }
    const { name = 'ignored', ignore } = entry;
    const madeColour = (): Colour => (ignore ? [0, 0, 0] : free[made++]!);
    return { id: entry.id, name, colour: entry.colour ?? madeColour(), ignore };
  });
}

function checkEntries(file: string, entries: readonly ClassEntry[], byColour: boolean): void {
  const classes = entries.filter(({ ignore }) => !ignore);
  if (classes.length < 2 || classes.length > UNLABELLED) {
    throw new DataError(`${file}: got ${classes.length} classes, wanted 2 to ${UNLABELLED}`);
  }
  refuseTwice(file, 'id', entries, idsOf);
  refuseTwice(file, 'name', classes, ({ name }) => [name]);
  if (!byColour) return;
  // Ignored entries may share a colour, but not with a class.
  const entriesByColour = new Map(entries.map((entry) => [colourKey(...entry.colour), entry]));
  refuseTwice(
    file,
    'colour',
    [...classes, ...[...entriesByColour.values()].filter(({ ignore }) => ignore)],
    ({ colour }) => [colour.join()],
  );
}

function refuseTwice(
  file: string,
  field: string,
  entries: readonly ClassEntry[],
  keysOf: (entry: ClassEntry) => readonly (number | string)[],
): void {
  const seen = new Set<number | string>();
  for (const entry of entries) {
    for (const value of keysOf(entry)) {
      if (seen.has(value)) {
        throw new DataError(
          `${file}: ${field} ${value} of ${entry.name}: another entry has it, too`,
        );
      }
      seen.add(value);
    }
  }
}
