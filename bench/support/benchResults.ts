/** A bench's results: measured and kept, or read from the file of an earlier run. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';

/** For whoever waits; the results go to standard output. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** @param render file that keepResults wrote; undefined: measured now */
export async function readOrMeasure<Results>(
  render: string | undefined,
  measure: () => Promise<Results>,
): Promise<Results> {
  if (render === undefined) return measure();
  return JSON.parse(await readFile(render, 'utf8')) as Results;
}

export async function keepResults(path: string, results: object): Promise<void> {
  await ensureFolder(dirname(path));
  await replaceFile(path, `${JSON.stringify(results, null, 1)}\n`);
}
