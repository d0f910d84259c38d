/** The folder of a disk store: who it belongs to, and in which format. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Says which version wrote the folder; the only file of ours beside those of cacache. */
const MARK = 'cirkd-answers.json';
const FORMAT = 1;

/** The folder can't hold a store: it belongs to something else, or can't be written. */
export class StoreFolderError extends Error {
  override readonly name = 'StoreFolderError';
}

/**
 * Makes the folder a store of answers, unless it is one. Several processes may do so at once. Throws
 * StoreFolderError, which names the folder.
 */
export async function claimStoreFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    const format = await readFormat(directory);
    if (format === FORMAT) return;
    if (format !== null) {
      throw new StoreFolderError(
        `${directory}: a store of answers in format ${format}, wanted format ${FORMAT}: name another folder or remove this one`,
      );
    }
    await refuseForeign(directory);
    await writeFormat(directory);
  } catch (error) {
    if (error instanceof StoreFolderError) throw error;
    throw new StoreFolderError(`${directory}: not usable (${(error as Error).message})`);
  }
}

/** null if there is no mark. */
async function readFormat(directory: string): Promise<unknown> {
  try {
    const mark = JSON.parse(await readFile(join(directory, MARK), 'utf8')) as { format?: unknown };
    return mark.format ?? 'unknown';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    if (error instanceof SyntaxError) return 'unknown';
    throw error;
  }
}

/** A store removes old files, so it must not take over a folder with anything else in it. */
async function refuseForeign(directory: string): Promise<void> {
  const others = (await readdir(directory)).filter((name) => !name.startsWith(MARK));
  // Another process may have claimed the folder meanwhile, and stored something.
  if (others.length === 0 || (await readFormat(directory)) === FORMAT) return;
  throw new StoreFolderError(
    `${directory}: holds other files (${others.slice(0, 3).join(', ')}), wanted an empty folder or a store of answers`,
  );
}

async function writeFormat(directory: string): Promise<void> {
  const path = join(directory, MARK);
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(fresh, `${JSON.stringify({ format: FORMAT })}\n`);
  await rename(fresh, path);
}
