/** Reads class tables from files: YAML (or JSON, which is YAML), a list of {id, name, colour, ignore}. */
import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { CAMVID_TABLE } from './camvid.js';
import { CITYSCAPES_TABLE } from './cityscapesClasses.js';
import { type ClassEntry, type ClassTable, classTable, colourKey } from './classTable.js';
import { fileError } from './fileList.js';
import { DataError, UNLABELLED } from '../types.js';

/** Built-in tables, by name. */
const KNOWN: Readonly<Record<string, ClassTable>> = {
  camvid: CAMVID_TABLE,
  cityscapes: CITYSCAPES_TABLE,
};

/** Ample for 256 entries; a larger file is something else. */
const MAX_BYTES = 1_048_576;
/** Faults listed per file. */
const MAX_ISSUES = 5;

const byte = z.int().min(0).max(255);
const entrySchema = z.strictObject({
  id: byte,
  // Names are printed in terminals and reports.
  name: z
    .string()
    .min(1)
    .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, 'Wanted without control characters'),
  colour: z.tuple([byte, byte, byte]),
  ignore: z.boolean().default(false),
});
const tableSchema = z.array(entrySchema).min(1);

/**
 * @param source `camvid`, `cityscapes`, or a file.
 * @param byColour label files hold colours, so the classes' colours must differ.
 * @throws DataError naming the file, the entry and its field.
 */
export function readClassTable(source: string, byColour: boolean): ClassTable {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined;
  if (known !== undefined) return known;
  const parsed = tableSchema.safeParse(readYaml(source));
  if (!parsed.success) {
    const { issues: all } = parsed.error;
    const issues = all
      .slice(0, MAX_ISSUES)
      .map(
        ({ path, message }) => `${placeOf(path)}: ${message[0]!.toLowerCase()}${message.slice(1)}`,
      );
    if (all.length > MAX_ISSUES) issues.push(`and ${all.length - MAX_ISSUES} more`);
    throw new DataError(
      `${source}: not a class table, a list of {id: 0..255, name, colour: [r, g, b], ignore}: ${issues.join('; ')}`,
    );
  }
  checkEntries(source, parsed.data, byColour);
  return classTable(parsed.data);
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

/** "entry 3, colour"; entries are counted from 1. */
function placeOf([entry, ...field]: readonly PropertyKey[]): string {
  if (typeof entry !== 'number') return 'the file';
  return [`entry ${entry + 1}`, ...field.map(String)].join(', ');
}

function checkEntries(file: string, entries: readonly ClassEntry[], byColour: boolean): void {
  const classes = entries.filter(({ ignore }) => !ignore);
  if (classes.length < 2 || classes.length > UNLABELLED) {
    throw new DataError(`${file}: got ${classes.length} classes, wanted 2 to ${UNLABELLED}`);
  }
  refuseTwice(file, 'id', entries, ({ id }) => id);
  refuseTwice(file, 'name', classes, ({ name }) => name);
  if (!byColour) return;
  // Ignored entries may share a colour, but not with a class.
  const entriesByColour = new Map(entries.map((entry) => [colourKey(...entry.colour), entry]));
  refuseTwice(
    file,
    'colour',
    [...classes, ...[...entriesByColour.values()].filter(({ ignore }) => ignore)],
    ({ colour }) => colour.join(),
  );
}

function refuseTwice(
  file: string,
  field: string,
  entries: readonly ClassEntry[],
  keyOf: (entry: ClassEntry) => number | string,
): void {
  const seen = new Set<number | string>();
  for (const entry of entries) {
    const value = keyOf(entry);
    if (seen.has(value)) {
      throw new DataError(`${file}: ${field} ${value} of ${entry.name}: another entry has it, too`);
    }
    seen.add(value);
  }
}
