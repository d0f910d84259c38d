/** Keys and tokens in files that every user of the machine may read. */
import { stat } from 'node:fs/promises';
import type { NamedFile } from './watchedFiles.js';

const READ_BY_OTHERS = 0o004;

/** One line for each such file. Only a warning, as a container may have no other users. */
export async function exposedFiles(files: readonly NamedFile[]): Promise<string[]> {
  const lines = await Promise.all(
    files.map(async ({ key, path }) => {
      const mode = (await stat(path).catch(() => null))?.mode ?? 0;
      if ((mode & READ_BY_OTHERS) === 0) return [];
      const octal = (mode & 0o777).toString(8);
      return [`${key}: ${path}: readable by every user (mode ${octal}), wanted 640 or stricter`];
    }),
  );
  return lines.flat();
}
