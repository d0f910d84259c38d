/** The folder of a disk store: who it belongs to, and in which format. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureFolder, replaceFile } from '../../run/durableFiles.js';

/** Says which version wrote the folder; the only file of ours beside those of cacache. */
const MARK = 'cirkd-answers.json';
const FORMAT = 1;

/** cacache's folders. */
const OWN_FOLDERS: ReadonlySet<string> = new Set(['content-v2', 'index-v5', 'tmp']);

/** Codes of a disk's faults, a full or remote one's among them: a run goes on without a store then. */
const DISK_FAULTS: ReadonlySet<string> = new Set([
  ...['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN'],
]);

/** The folder can't hold a store: it belongs to something else, or can't be written. */
export class StoreFolderError extends Error {
  override readonly name = 'StoreFolderError';
}

/** The folder's disk fails; nothing is wrong with its name. */
export class StoreDiskError extends Error {
  override readonly name = 'StoreDiskError';
}

/**
 * Makes the folder a store of answers, unless it is one. Several processes may do so at once. Throws
 * StoreFolderError and StoreDiskError, which name the folder.
 */
export async function claimStoreFolder(directory: string): Promise<void> {
  try {
    await ensureFolder(directory);
    const format = await readFormat(directory);
    if (format === FORMAT) return;
    if (format !== null && format !== DAMAGED) {
      throw new StoreFolderError(
        `${directory}: a store of answers in format ${format}, wanted format ${FORMAT}: name another folder or remove this one`,
      );
    }
    await refuseForeign(directory, format === DAMAGED);
    await replaceFile(join(directory, MARK), `${JSON.stringify({ format: FORMAT })}\n`);
  } catch (error) {
    if (error instanceof StoreFolderError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    const Kind = DISK_FAULTS.has(code) ? StoreDiskError : StoreFolderError;
    throw new Kind(`${directory}: not usable (${message})`);
  }
}

/** A mark that can't be parsed: the machine died before it was on the disk. */
const DAMAGED = Symbol('damaged');

/** null if there is no mark. */
async function readFormat(directory: string): Promise<number | string | typeof DAMAGED | null> {
  try {
    const mark = JSON.parse(await readFile(join(directory, MARK), 'utf8')) as unknown;
    const format = (mark as { format?: unknown } | null)?.format;
    return typeof format === 'number' ? format : 'unknown';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    if (error instanceof SyntaxError) return DAMAGED;
    throw error;
  }
}

/**
 * A store removes old files, so it must not take over a folder with anything else in it. Beside a damaged mark
 * a store's own folders may lie; without any mark they may be another program's, as npm's cache has the same.
 */
async function refuseForeign(directory: string, isMarked: boolean): Promise<void> {
  const others = (await readdir(directory)).filter(
    (name) => !name.startsWith(MARK) && !(isMarked && OWN_FOLDERS.has(name)),
  );
  // Another process may have claimed the folder meanwhile, and stored something.
  if (others.length === 0 || (await readFormat(directory)) === FORMAT) return;
  throw new StoreFolderError(
    `${directory}: holds other files (${others.slice(0, 3).join(', ')}), wanted an empty folder or a store of answers`,
  );
}
