/** The part of a Markdown file that a program writes, between two comments. */
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../src/run/durableFiles.js';

/** Replaces what is between `<!-- name: begin -->` and `<!-- name: end -->`. Throws Error without them. */
export async function writeMarkedSection(path: string, name: string, text: string): Promise<void> {
  await replaceFile(path, withMarkedSection(await readFile(path, 'utf8'), name, text, path));
}

export function withMarkedSection(before: string, name: string, text: string, path: string) {
  const [opening, closing] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [begin, end] = [before.indexOf(opening), before.indexOf(closing)];
  if (begin < 0 || end < begin) throw new Error(`${path} has no '${opening}' … '${closing}'`);
  return `${before.slice(0, begin)}${opening}\n${text}\n${before.slice(end)}`;
}
