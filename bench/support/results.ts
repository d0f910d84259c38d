/** What every bench keeps of a measurement besides its figures, and the file that it is kept in. */
import { access, constants, readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { UsageError } from '../../services/cli/command.js';
import { packageRoot } from '../../services/program/packageRoot.js';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';

export interface Machine {
  readonly processor: string;
  readonly memoryGiB: number;
  readonly node: string;
}

/** 'TensorFlow 2.21.0', 'PyTorch …' */
export interface Engines {
  readonly cirkd?: string;
  readonly torch?: string;
}

export interface MeasuredThere {
  /** ISO date and time of the start. */
  readonly date: string;
  readonly minutes: number;
  readonly machine: Machine;
  readonly threads: number;
  readonly engines: Engines;
  /** As git has it; results of before it was kept have none, nor those from outside of a clone. */
  readonly commit?: string;
}

export function machine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown processor',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

/** With "-dirty" behind it where files differ; nothing without git. */
export async function commit(): Promise<{ commit?: string }> {
  const describe = ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'];
  const { code, output } = await runProgram('git', ['-C', packageRoot(), ...describe]);
  return code === 0 ? { commit: output.trim() } : {};
}

/** One line above a page's tables. */
export function machineLine(measured: MeasuredThere): string {
  const { date, threads, engines, minutes, commit } = measured;
  const { processor, memoryGiB, node } = measured.machine;
  return (
    `${date.slice(0, 16).replace('T', ' ')} UTC, ${minutes.toFixed(0)} minutes. ${processor}, ` +
    `${threads} cores, ${memoryGiB} GiB; Node.js ${node}, ${engines.cirkd ?? '–'}, ` +
    `${engines.torch ?? '–'}.${commit === undefined ? '' : ` Commit ${commit}.`}`
  );
}

/** Throws UsageError where nothing can be kept there: the file's folder is made. */
export async function prepareResults(path: string): Promise<void> {
  try {
    await ensureFolder(dirname(path));
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    const why = (error as Error).message;
    throw new UsageError(`--results: ${path} given, wanted a file in a folder to write to: ${why}`);
  }
}

export async function keepResults(path: string, results: object): Promise<void> {
  await replaceFile(path, `${JSON.stringify(results, null, 1)}\n`);
}

/** Throws UsageError where there are none. @param path file that keepResults wrote */
export async function readResults<Results>(path: string): Promise<Results> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Results;
  } catch (error) {
    throw new UsageError(
      `--render: ${path} given, wanted kept results: ${(error as Error).message}`,
    );
  }
}
