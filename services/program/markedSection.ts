/** The parts of a Markdown file that a program writes, each between two comments. */
import { access, constants, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../../src/run/durableFiles.js';
import { UsageError } from './usageError.js';

/** Texts by the name of their place. */
export type MarkedSections = Readonly<Record<string, string>>;

/** Throws UsageError where the option's file can't take these sections: before they are worked for. */
export async function checkMarkedSections(
  option: string,
  path: string,
  names: readonly string[],
): Promise<void> {
  let page: string;
  try {
    page = await readFile(path, 'utf8');
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    const why = (error as Error).message;
    throw new UsageError(`${option}: ${path} given, wanted a page that is there already: ${why}`);
  }
  try {
    for (const name of names) withMarkedSection(page, name, '', path);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

/** All of them at once. Throws Error where the file has no place for one. */
export async function writeMarkedSections(path: string, sections: MarkedSections): Promise<void> {
  let page = await readFile(path, 'utf8');
  for (const [name, text] of Object.entries(sections)) {
    page = withMarkedSection(page, name, text, path);
  }
  await replaceFile(path, page);
}

/** Replaces what is between `<!-- name: begin -->` and `<!-- name: end -->`. Throws Error without them. */
export function withMarkedSection(before: string, name: string, text: string, path: string) {
  const [opening, closing] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [begin, end] = [before.indexOf(opening), before.indexOf(closing)];
  if (begin < 0 || end < begin) throw new Error(`${path} has no '${opening}' … '${closing}'`);
  return `${before.slice(0, begin)}${opening}\n${text}\n${before.slice(end)}`;
}
