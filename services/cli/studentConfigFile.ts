/** The options --config and --set of the commands that read a student's config. */
import { readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config/load.js';
import type { StudentConfig } from '../../src/config/student.js';
import { studentSchema } from '../program/studentSchema.js';
import { UsageError } from './command.js';

/** Throws UsageError when there is no such file, ConfigError when its content is wrong. */
export function readStudentConfig(
  file: string | undefined,
  overrides: readonly string[],
): StudentConfig {
  if (file === undefined) throw new UsageError('--config: not given');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--config: ${(error as Error).message}`);
  }
  return loadConfig(studentSchema, { text, fileName: file, overrides });
}
