/** A study's folder: study.json with what was found so far, the variants' configs, a folder and a log per run. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changedFixedKeys } from '../../src/config/fixedKeys.js';
import { formatConfig } from '../../src/config/format.js';
import { savedConfig } from '../../src/config/retiredKeys.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import {
  STUDY_FORMAT,
  type StudyRecord,
  type StudyResults,
  type StudyRun,
  studyRecordSchema,
} from '../../src/report/study/studyRecord.js';
import { fileFacts } from '../../src/run/checkpointFile.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { RunFolderError } from '../../src/run/runFolder.js';
import { lockRun, type RunLock } from '../../src/run/runLock.js';
import { isBackboneKey } from '../setup/backboneFiles.mjs';
import { UsageError } from '../program/usageError.js';
import type { PlannedVariant, StudyPlan } from './plan.js';

const RECORD_NAME = 'study.json';

export class StudyFolder {
  readonly path: string;
  readonly #plan: StudyPlan;
  readonly #lock: RunLock;
  #record: StudyRecord;
  /** Runs that end together would write the file at the same time. */
  #written: Promise<void> = Promise.resolve();

  private constructor(path: string, plan: StudyPlan, lock: RunLock, record: StudyRecord) {
    this.path = path;
    this.#plan = plan;
    this.#lock = lock;
    this.#record = record;
  }

  /**
   * Takes the folder's lock and creates or continues the study in it. Throws RunFolderError if another process has
   * the folder, or if it holds something else or results of other configs, files or data; UsageError for missing files.
   * @param data digests of the variants' datasets, by `variants.NAME: data.train` and `data.val`; empty: not compared
   */
  static async open(
    path: string,
    plan: StudyPlan,
    parallel: number | null,
    data: Readonly<Record<string, string>> = {},
  ): Promise<StudyFolder> {
    await ensureFolder(path).catch((error: Error) => {
      throw new UsageError(`--out: ${path} given, wanted a folder: ${error.message}`);
    });
    const lock = await lockRun(path);
    try {
      const earlier = await readRecord(path);
      const record = await begunRecord(plan, { earlier, parallel, data });
      if (earlier !== null) refuseChanges(path, earlier, record);
      const folder = new StudyFolder(path, plan, lock, joined(earlier, record));
      await folder.#write();
      await ensureFolder(join(path, 'configs'));
      for (const { name } of plan.variants) {
        const text = formatConfig(record.variants[name]!.config);
        await replaceFile(folder.configFile(name), text);
      }
      return folder;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The variant's whole config, without seed and folder. */
  configFile(variant: string): string {
    return join(this.path, 'configs', `${variant}.yaml`);
  }

  results(): StudyResults {
    const { name, study, variants } = this.#plan;
    const { baseline, seeds } = study;
    return { name, variants, baseline, seeds, runs: this.#record.runs };
  }

  threadsOf(variant: string): number {
    return configOf(this.#record, variant).train.threads;
  }

  teacherDigest(variant: string): string | null {
    return this.#record.variants[variant]?.teacherDigest ?? null;
  }

  /** Throws RunFolderError if the variant's earlier runs had another teacher. */
  async expectTeacher(variant: string, digest: string): Promise<void> {
    const known = this.teacherDigest(variant);
    if (known !== null && known !== digest) {
      throw new RunFolderError(
        `${this.path}: variants.${variant}: earlier runs had a teacher with digest ${known}, now it is ${digest}; another --out starts anew`,
      );
    }
    this.#record.variants[variant]!.teacherDigest = digest;
    await this.#write();
  }

  /** Adds a run's result, in place of an earlier one of the same variant and seed. */
  async add(run: StudyRun): Promise<void> {
    const others = this.#record.runs.filter(
      ({ variant, seed }) => variant !== run.variant || seed !== run.seed,
    );
    this.#record = { ...this.#record, runs: [...others, run] };
    await this.#write();
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }

  async #write(): Promise<void> {
    // A write that failed doesn't keep the next one from trying: the disk may have room again.
    this.#written = this.#written
      .catch(() => {})
      .then(() =>
        replaceFile(join(this.path, RECORD_NAME), `${JSON.stringify(this.#record, null, 2)}\n`),
      );
    await this.#written;
  }
}

/** null in a new folder. */
async function readRecord(path: string): Promise<StudyRecord | null> {
  const file = join(path, RECORD_NAME);
  if (!existsSync(file)) {
    const others = (await readdir(path)).filter((name) => !/^run\.lock|\.tmp-/.test(name));
    if (others.length === 0) return null;
    throw new RunFolderError(
      `${path}: neither empty nor the folder of a study (no ${RECORD_NAME})`,
    );
  }
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new RunFolderError(`${file}: ${(error as Error).message}`);
  }
  const { success, data, error } = studyRecordSchema.safeParse(content);
  if (success) return data;
  const [issue] = error.issues;
  throw new RunFolderError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}

async function begunRecord(
  plan: StudyPlan,
  {
    earlier,
    parallel,
    data,
  }: {
    readonly earlier: StudyRecord | null;
    readonly parallel: number | null;
    readonly data: Readonly<Record<string, string>>;
  },
): Promise<StudyRecord> {
  const { checkpoint, threads } = plan.study.teacher;
  return {
    formatVersion: STUDY_FORMAT,
    name: plan.name,
    variants: Object.fromEntries(
      plan.variants.map(({ name, title, isTaught, config }) => {
        const saved = earlier?.variants[name];
        const begun = withThreads(config, saved, parallel);
        return [
          name,
          { title, isTaught, config: begun, teacherDigest: saved?.teacherDigest ?? null },
        ];
      }),
    ),
    files: { ...(await hashes(plan)), ...data },
    teacherThreads: checkpoint === null ? null : threads,
    runs: earlier?.runs ?? [],
  };
}

/** Entries of variants that the file has no more stay, with their runs and what these began from. */
function joined(earlier: StudyRecord | null, now: StudyRecord): StudyRecord {
  return {
    ...now,
    variants: { ...earlier?.variants, ...now.variants },
    files: { ...earlier?.files, ...now.files },
  };
}

/** train.threads 0 is this share of the cores, and stays the same when the study goes on. */
function withThreads(
  config: StudentConfig,
  saved: StudyRecord['variants'][string] | undefined,
  share: number | null,
): StudentConfig {
  if (config.train.threads > 0) return config;
  const before = (saved?.config['train'] as StudentConfig['train'] | undefined)?.threads;
  return { ...config, train: { ...config.train, threads: before ?? share ?? 1 } };
}

function refuseChanges(path: string, was: StudyRecord, is: StudyRecord): void {
  const faults = [
    ...(was.name === is.name ? [] : [`it is of the study ${was.name}, not ${is.name}`]),
    ...Object.keys(is.variants).flatMap((name) => changesOf(name, was, is)),
    ...Object.entries(is.files)
      .filter(([file, hash]) => (was.files[file] ?? hash) !== hash)
      .map(([file]) => `${file}: its content has changed`),
    ...(was.teacherThreads === is.teacherThreads
      ? []
      : [`teacher.threads: was ${was.teacherThreads}, is ${is.teacherThreads}`]),
  ];
  if (faults.length === 0) return;
  throw new RunFolderError(
    [`${path}: its results would be mixed with others; another --out starts anew`, ...faults].join(
      '\n  ',
    ),
  );
}

function changesOf(name: string, was: StudyRecord, is: StudyRecord): string[] {
  if (was.variants[name] === undefined) return [];
  const changed = changedFixedKeys(studentSchema, configOf(was, name), configOf(is, name));
  const [before, after] = [was.variants[name].isTaught, is.variants[name]!.isTaught];
  const teachers = (isTaught: boolean) => (isTaught ? 'with teachers' : 'on labels alone');
  return [
    ...changed.map(
      (one) =>
        `variants.${name}: ${one.key}: was ${JSON.stringify(one.was)}, is ${JSON.stringify(one.is)}`,
    ),
    ...(before === after
      ? []
      : [`variants.${name}: was trained ${teachers(before)}, is ${teachers(after)}`]),
  ];
}

function configOf({ variants }: StudyRecord, name: string): StudentConfig {
  return savedConfig(studentSchema, variants[name]!.config);
}

/** sha256 of the files that the runs begin from, by path. Throws UsageError for one that is missing. */
async function hashes({ study, variants }: StudyPlan): Promise<Record<string, string>> {
  const { checkpoint } = study.teacher;
  const files = new Map<string, string>();
  if (checkpoint !== null) files.set(checkpoint, 'teacher.checkpoint');
  for (const variant of variants) {
    for (const [key, file] of startFiles(variant)) files.set(file, key);
  }
  const found: Record<string, string> = {};
  for (const [file, key] of files) {
    const facts = await fileFacts(file).catch((error: Error) => {
      throw new UsageError(`${key}: ${file} given, wanted a file: ${error.message}`);
    });
    found[file] = facts.sha256;
  }
  return found;
}

function startFiles({ name, config: { student } }: PlannedVariant): [string, string][] {
  return (['weights', 'backboneWeights'] as const).flatMap((key) => {
    const file = student[key];
    if (file === null || isBackboneKey(file)) return [];
    return [[`variants.${name}: student.${key}`, file] as [string, string]];
  });
}
