/** Configs for programs: from plain objects, or from the files that the command line reads. */
import { readFileSync } from 'node:fs';
import { studentSchema } from '../program/studentSchema.js';
import { ConfigError } from '../../src/config/configError.js';
import type { ConfigSchema } from '../../src/config/fields.js';
import type { ConfigFile } from '../../src/config/layers.js';
import { checkConfig, loadConfig } from '../../src/config/load.js';
import type { StudentConfig, StudentConfigInput } from '../../src/config/student.js';
import {
  type TeacherConfig,
  type TeacherConfigInput,
  teacherSchema,
} from '../../src/config/teacher.js';

/**
 * A teacher's config: `given` with every default filled in, checked by the schema of `cirkd teacher`.
 * docs/config.md has every key with its unit; exactly one of `checkpoint`, `graph.onnx`,
 * `graph.savedModel` and `simulate.enabled` is needed. Relative paths start at the process' folder.
 *
 * @throws {ConfigError} with all faults at once: unknown keys, wrong types and ranges, keys that
 *   contradict each other. Files named in it are not opened yet.
 */
export function teacherConfig(given: TeacherConfigInput): TeacherConfig {
  return checkConfig(teacherSchema, given, 'teacher config');
}

/**
 * A student's config: `given` with every default filled in, checked by the schema of `cirkd student`.
 * `data.train`, `data.val` and `train.steps` are required. With `teacher.addresses` the student
 * distils; without, it trains on labels alone.
 *
 * @throws {ConfigError} as {@link teacherConfig}
 */
export function studentConfig(given: StudentConfigInput): StudentConfig {
  return checkConfig(studentSchema, given, 'student config');
}

/**
 * The config in a YAML file or several, as `cirkd teacher --config FILE … --set …` takes them.
 *
 * @param file path of the YAML file; of several, sections of later ones are merged into those of earlier ones, other
 *   values replace them
 * @param overrides `key.path=value`, the value YAML; later ones win
 * @throws {ConfigError} also where the file can't be read
 */
export function readTeacherConfig(
  file: string | readonly string[],
  overrides: readonly string[] = [],
): TeacherConfig {
  return readConfig(teacherSchema, file, overrides);
}

/**
 * The config in a YAML file or several, as `cirkd student --config FILE … --set …` takes them.
 *
 * @param file path of the YAML file; of several, sections of later ones are merged into those of earlier ones, other
 *   values replace them
 * @param overrides `key.path=value`, the value YAML; later ones win
 * @throws {ConfigError} also where the file can't be read
 */
export function readStudentConfig(
  file: string | readonly string[],
  overrides: readonly string[] = [],
): StudentConfig {
  return readConfig(studentSchema, file, overrides);
}

function readConfig<T>(
  schema: ConfigSchema<T>,
  file: string | readonly string[],
  overrides: readonly string[],
): T {
  const [first, ...overlays] = (typeof file === 'string' ? [file] : file).map(readFile);
  if (first === undefined) throw unreadable('config', 'got no file, wanted at least one');
  return loadConfig(schema, { ...first, overlays, overrides });
}

function readFile(fileName: string): ConfigFile {
  try {
    return { text: readFileSync(fileName, 'utf8'), fileName };
  } catch (error) {
    throw unreadable(fileName, (error as Error).message);
  }
}

function unreadable(name: string, message: string): ConfigError {
  return new ConfigError(name, [{ key: '', line: null, override: null, message }]);
}
