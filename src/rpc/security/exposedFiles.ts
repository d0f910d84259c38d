/** Keys and tokens in files that every user of the machine may read. */
import { stat } from 'node:fs/promises';
import type { NamedFile } from './watchedFiles.js';

const READ_BY_OTHERS = 0o004;

/** A line for each such file. Said, not refused: in a container there may be nobody else. */
export async function exposedFiles(files: readonly NamedFile[]): Promise<string[]> {
  const lines = await Promise.all(
    files.map(async ({ key, path }) => {
      const mode = (await stat(path).catch(() => null))?.mode ?? 0;
      if ((mode & READ_BY_OTHERS) === 0) return [];
      const octal = (mode & 0o777).toString(8);
      return [`${key}: ${path}: every user may read it (mode ${octal}), wanted 640 or less`];
    }),
  );
  return lines.flat();
}
