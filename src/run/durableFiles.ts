/** Writes files that are either complete or absent, even if the process or the machine dies. */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes temporary names unique, because one process may replace a file twice at the same time. */
let replacements = 0;

/** Writes a temporary file, flushes it to disk, then atomically replaces the file at `path`. */
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

/** Makes a rename or a new file in a folder survive a power loss. */
export async function flushFolder(path: string): Promise<void> {
  await withFile(path, 'r', (folder) => folder.sync());
}

export async function ensureFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first !== undefined) await flushFolder(dirname(first));
}

/** Opens a file, passes it to `use` and closes it in any case. */
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
