/** The option --out of the commands that write one file. */
import { existsSync, statSync } from 'node:fs';
import { UsageError } from './command.js';

/** Throws UsageError if it isn't given, has another ending or is a folder. */
export function checkOutFile(out: string | undefined, ending: string): string {
  if (out === undefined) throw new UsageError(`--out: none given, wanted a ${ending} file`);
  if (!out.endsWith(ending)) {
    throw new UsageError(`--out: ${out} given, wanted a name ending in ${ending}`);
  }
  if (existsSync(out) && statSync(out).isDirectory()) {
    throw new UsageError(`--out: ${out} is a folder`);
  }
  return out;
}
