/** The options --config and --set of the commands that read a config. */
import { readFileSync } from 'node:fs';
import type { ConfigSchema } from '../../src/config/fields.js';
import { loadConfig } from '../../src/config/load.js';
import type { StudentConfig } from '../../src/config/student.js';
import { studentSchema } from '../program/studentSchema.js';
import { UsageError } from './command.js';

/** Throws UsageError when there is no such file, ConfigError when its content is wrong. */
export function readStudentConfig(
  files: readonly string[],
  overrides: readonly string[],
): StudentConfig {
  if (files.length === 0) throw new UsageError('--config: not given');
  return readConfigFiles(studentSchema, files, overrides);
}

/** Without files, the defaults and overrides alone. Throws as readStudentConfig. */
export function readConfigFiles<T>(
  schema: ConfigSchema<T>,
  files: readonly string[],
  overrides: readonly string[],
): T {
  const [first = { text: '', fileName: 'command line' }, ...overlays] = files.map((fileName) => ({
    text: readText(fileName),
    fileName,
  }));
  return loadConfig(schema, { ...first, overlays, overrides });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--config: ${(error as Error).message}`);
  }
}
