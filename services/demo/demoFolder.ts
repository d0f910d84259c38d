/** The demo's folder: made anew for each demo. */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { UsageError } from '../program/usageError.js';

/** Only a folder with this file in it is ever removed. */
const MARK = '.cirkd-demo';

/**
 * Makes the folder. An older demo there is removed or, with `keep`, renamed. Throws UsageError
 * where something else lies there.
 */
export async function makeDemoFolder(path: string, keep: boolean): Promise<void> {
  if (existsSync(path) && (await entries(path)).length > 0) {
    if (!existsSync(join(path, MARK))) {
      throw new UsageError(`--out: ${path} is neither empty nor the folder of an earlier demo`);
    }
    if (keep) await rename(path, await freeName(path));
    else await rm(path, { recursive: true, force: true });
  }
  await ensureFolder(path);
  await replaceFile(join(path, MARK), 'cirkd demo replaces this folder.\n');
}

async function entries(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    throw new UsageError(`--out: ${(error as Error).message}`);
  }
}

async function freeName(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `${path}-${number}`;
    if (!existsSync(name)) return name;
  }
}
