/** The measured processes, each on one core. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../services/cli/command.js';
import type { Workload } from '../../services/cli/bench/workload.js';
import { freeAddresses } from '../../services/student/group/freeAddresses.js';
import { engineOnCpu, MeasuredProcess } from '../support/measuredProcess.js';
import type { Open } from '../support/opened.js';
import type { RankReady, RankTask } from './rankSide.js';

const PROGRAM = fileURLToPath(new URL('./rankSide.ts', import.meta.url));

/** Processors that this process may use. */
export function allowedCores(status = readFileSync('/proc/self/status', 'utf8')): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? '';
  return list.split(',').flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The first and the last one: neighbours may be threads of one core. Throws UsageError with fewer than two. */
export function twoCores(cores = allowedCores()): [number, number] {
  const [first, last] = [cores[0], cores.at(-1)];
  if (first === undefined || last === undefined || first === last) {
    throw new UsageError('two cores are needed, one for each rank');
  }
  return [first, last];
}

export interface StartedRank {
  readonly process: MeasuredProcess;
  readonly ready: RankReady;
}

/** Two processes that know nothing of each other. */
export function startAlone(
  open: Open,
  workload: Workload,
  cores: readonly number[],
): Promise<StartedRank[]> {
  return startRanks(open, cores, () => ({ workload, place: null }));
}

export async function startGroup(
  open: Open,
  workload: Workload,
  cores: readonly number[],
): Promise<StartedRank[]> {
  const addresses = await freeAddresses(cores.length);
  return startRanks(open, cores, (rank) => ({ workload, place: { rank, addresses } }));
}

/** At once: ranks wait for one another. */
async function startRanks(
  open: Open,
  cores: readonly number[],
  taskOf: (rank: number) => RankTask,
): Promise<StartedRank[]> {
  const processes = await Promise.all(cores.map((core, rank) => open(pinned(core, taskOf(rank)))));
  return Promise.all(
    processes.map(async (process) => ({ process, ready: await process.first<RankReady>() })),
  );
}

function pinned(core: number, task: RankTask): MeasuredProcess {
  const node = [process.execPath, '--import', 'tsx', PROGRAM, JSON.stringify(task)];
  const env = { ...engineOnCpu(), TF_NUM_INTRAOP_THREADS: '1', TF_CPP_MIN_LOG_LEVEL: '2' };
  return new MeasuredProcess(`rank on core ${core}`, 'taskset', ['-c', String(core), ...node], env);
}
