/** Options that name a folder to write into. */
import { existsSync, statSync } from 'node:fs';
import { ensureFolder } from '../../src/run/durableFiles.js';
import { UsageError } from './command.js';

/** Throws UsageError if it is a file. Creates nothing. */
export function checkOutFolder(option: string, path: string): string {
  if (path === '') throw new UsageError(`${option}: none given, wanted a folder`);
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw new UsageError(`${option}: ${path} is a file, wanted a folder`);
  }
  return path;
}

/** Creates the folder and its parents. Throws UsageError if that fails. */
export async function makeOutFolder(option: string, path: string): Promise<void> {
  try {
    await ensureFolder(path);
  } catch (error) {
    throw new UsageError(`${option}: ${path}: ${(error as Error).message}`);
  }
}
