/** Finds a dataset's files: walks folders in a fixed order and reads lists. Errors name the file. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../types.js';

/** Deeper nesting is assumed to be a cycle of links. */
const MAX_DEPTH = 16;

/** Converts a system error on a file to a DataError that names the file. */
export function fileError(file: string, error: unknown): DataError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DataError(`${file}: ${code === 'ENOENT' ? 'no such file' : message}`, {
    cause: error,
  });
}

/** Size in bytes. Throws DataError if there is no such file or it is a folder. */
export function fileBytes(file: string): number {
  let stats: ReturnType<typeof statSync>;
  try {
    stats = statSync(file);
  } catch (error) {
    throw fileError(file, error);
  }
  if (!stats.isFile()) throw new DataError(`${file}: not a file`);
  return stats.size;
}

/**
 * Every file below a folder with one of the endings, as relative paths with `/` as separator, sorted by
 * UTF-16 code units on every system. Follows links; skips names that begin with a dot.
 *
 * @param endings in lower case; they match names in any case.
 * @throws DataError when the folder can't be read.
 */
export function filesBelow(folder: string, endings: readonly string[]): string[] {
  const found: string[] = [];
  const fits = (name: string) => endings.some((ending) => name.toLowerCase().endsWith(ending));
  const walk = (below: string, depth: number) => {
    const here = join(folder, below);
    if (depth > MAX_DEPTH) throw new DataError(`${here}: more than ${MAX_DEPTH} folders deep`);
    for (const entry of entriesOf(here)) {
      if (entry.name.startsWith('.')) continue;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (isFolder(entry, join(folder, path))) walk(path, depth + 1);
      else if (fits(entry.name)) found.push(path);
    }
  };
  walk('', 0);
  return found.sort();
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataError(`${folder}: ${code === 'ENOENT' ? 'no such folder' : message}`, {
      cause: error,
    });
  }
}

interface Entry {
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

function isFolder(entry: Entry, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fileError(path, error);
  }
}

/** One line of a list: its paths, separated by spaces, tabs, commas or semicolons, with `/` between folders. */
export interface ListLine {
  readonly fields: readonly string[];
  /** Line number, from 1. */
  readonly line: number;
}

/**
 * The non-empty lines of a list; null if there is no such file.
 *
 * @throws DataError when the file can't be read or has only empty lines.
 */
export function readListFile(file: string): ListLine[] | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw fileError(file, error);
  }
  const lines = text
    .split('\n')
    .map((line, i) => ({ fields: pathsIn(line), line: i + 1 }))
    .filter(({ fields }) => fields.length > 0);
  if (lines.length === 0) {
    throw new DataError(`${file}: got no line, wanted one sample per line`);
  }
  return lines;
}

/** A list made on Windows has backslashes, and may begin with a byte-order mark. */
function pathsIn(line: string): string[] {
  return line
    .replace(/^\uFEFF/, '')
    .replaceAll('\\', '/')
    .split(/[\s,;]+/)
    .filter((field) => field !== '');
}
