/** A study's file, read and checked: every variant as the whole config of a student. */
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { stringify } from 'yaml';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import type { StudentConfig } from '../../src/config/student.js';
import { type StudyConfig, studySchema } from '../../src/config/study.js';
import { studentSchema } from '../program/studentSchema.js';
import { UsageError } from '../program/usageError.js';

export interface PlannedVariant {
  readonly name: string;
  readonly title: string;
  /** Without what a run decides: seed, folder, id and addresses of own teachers. */
  readonly config: StudentConfig;
  /** Whether it listens to teachers; the others train on labels alone. */
  readonly isTaught: boolean;
}

export interface StudyPlan {
  /** The file's name without its ending. */
  readonly name: string;
  readonly study: StudyConfig;
  readonly variants: readonly PlannedVariant[];
}

/** Stands for the own teachers until they have addresses. */
const OWN_TEACHER = '127.0.0.1:1';

/** Whether the study's own teachers teach it: a variant may also name others, or none. */
export function hasOwnTeachers({ config: { teacher } }: PlannedVariant, { study }: StudyPlan) {
  return study.teacher.checkpoint !== null && teacher.addresses.join() === OWN_TEACHER;
}

/**
 * Throws UsageError if a file can't be read, ConfigError if the study or a variant's config is wrong.
 * @param overrides key.path=value of the study's own keys
 */
export function readPlan(fileName: string, overrides: readonly string[] = []): StudyPlan {
  const text = readText('study', fileName);
  const study = loadConfig(studySchema, { text, fileName, overrides });
  const variants = Object.entries(study.variants).map(([name, { title }]) => {
    const config = variantConfig(fileName, study, name);
    return { name, title: title ?? name, config, isTaught: config.teacher.addresses.length > 0 };
  });
  return { name: basename(fileName, extname(fileName)), study, variants };
}

function variantConfig(studyFile: string, study: StudyConfig, name: string): StudentConfig {
  const { files, set } = study.variants[name]!;
  const read = (key: string) => (fileName: string) => ({ text: readText(key, fileName), fileName });
  const [first, ...rest] = [
    ...study.base.map(read('base')),
    ...teacherLayer(studyFile, study.teacher),
    ...files.map(read(`variants.${name}.files`)),
  ];
  const overrides = [...study.set, ...set, ...evaluateKeys(study.evaluate), ...RUN_KEYS];
  try {
    const config = loadConfig(studentSchema, { ...first!, overlays: rest, overrides });
    refuseGroup(config);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${studyFile}: variants.${name}`, error.faults);
  }
}

/** Below the variants' files, which may do without teachers. */
function teacherLayer(studyFile: string, { addresses, checkpoint }: StudyConfig['teacher']) {
  const own = checkpoint === null ? addresses : [OWN_TEACHER];
  if (own.length === 0) return [];
  return [{ text: stringify({ teacher: { addresses: own } }), fileName: `${studyFile} (teacher)` }];
}

function evaluateKeys({ val, everySteps, pictures }: StudyConfig['evaluate']): string[] {
  return [
    ...(val === null ? [] : [`data.val=${JSON.stringify(val)}`]),
    ...(everySteps === null ? [] : [`run.evaluateEverySteps=${everySteps}`]),
    `evaluate.pictures=${pictures}`,
  ];
}

/** What differs from run to run is decided when it starts. Several runs can't serve metrics at one port. */
const RUN_KEYS = [
  ...['seed=0', 'run.id=null', 'run.directory=runs'],
  ...['metrics.port=0', 'log.format=text'],
];

function refuseGroup({ distributed }: StudentConfig): void {
  if (distributed.workers.length === 0) return;
  const place = { line: null, override: null };
  const message = 'got workers, wanted none: each run of a study is one process';
  throw new ConfigError('', [{ key: 'distributed.workers', ...place, message }]);
}

function readText(key: string, fileName: string): string {
  try {
    return readFileSync(fileName, 'utf8');
  } catch (error) {
    throw new UsageError(`${key}: ${fileName} given, wanted a file: ${(error as Error).message}`);
  }
}
