/** Files that are whole or not there, whatever ends the process or the machine. */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Two writers of one file in one process each need a name of their own beside it. */
let replacements = 0;

/** Writes beside the file, flushes to disk, then takes its place in one step. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  replacements += 1;
  const temporary = `${path}.tmp-${process.pid}-${replacements}`;
  try {
    await writeFlushed(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await flushFolder(dirname(path));
}

/** Writes a new file and flushes it; not atomic by itself. */
export async function writeFlushed(path: string, content: string | Uint8Array): Promise<void> {
  await withFile(path, 'w', async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
}

/** Makes a rename or a new name in a folder survive a power loss. */
export async function flushFolder(path: string): Promise<void> {
  await withFile(path, 'r', (folder) => folder.sync());
}

export async function ensureFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first !== undefined) await flushFolder(dirname(first));
}

/** Opens, hands over, closes in any case. */
export async function withFile<T>(
  path: string,
  flags: 'r' | 'w',
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
