/** Which files a dataset has: folders walked in a fixed order, lists read. Faults name the file. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from './types.js';

/** Deeper folders than this are taken for links in a circle. */
const MAX_DEPTH = 16;

/** A system's error on a file as a DataError that names it. */
export function fileError(file: string, error: unknown): DataError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DataError(`${file}: ${code === 'ENOENT' ? 'no such file' : message}`, {
    cause: error,
  });
}

/** Size in bytes. Throws DataError where there is no such file, or a folder. */
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
 * Every file below a folder whose name ends so, as paths relative to it with `/` between, in the
 * order of their UTF-16 code units whatever the system's. Links are followed; names that begin with
 * a dot are left out.
 *
 * @param endings in lower case; upper case in a name fits too.
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

/** One line of a list: its words, between spaces or tabs. */
export interface ListLine {
  readonly words: readonly string[];
  /** From 1. */
  readonly line: number;
}

/**
 * The lines of a list that aren't empty. null: there is no such file.
 *
 * @throws DataError when it can't be read, or has no line.
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
    .map((line, i) => ({ words: line.split(/\s+/).filter((word) => word !== ''), line: i + 1 }))
    .filter(({ words }) => words.length > 0);
  if (lines.length === 0) {
    throw new DataError(`${file}: got no line, wanted one sample a line`);
  }
  return lines;
}
