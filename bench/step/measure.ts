/** Cases of one group: a process for each side of each, asked in turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configOf } from '../../services/cli/bench/workload.js';
import { compareChecks, type Distance } from './agreement.js';
import type { StepCase } from './cases.js';
import type { SideName, SideTask, Timing } from './protocol.js';
import type { CaseResult, SideResult } from './results.js';
import { Side } from './side.js';

export interface Measurement {
  readonly rounds: number;
  readonly threads: number;
  /** Folder of PyTorch's packages. */
  readonly torch: string;
  /** Filled as processes say it. */
  readonly engines: Partial<Record<SideName, string>>;
  readonly say: (text: string) => void;
}

/** Threads of the side that has just computed go on looking for work for a moment. */
const PAUSE_MS = 100;
/** Untimed, after the check. */
const WARM_UP_STEPS = 1;
const PROFILED_STEPS = 3;
const SIDES: readonly SideName[] = ['cirkd', 'torch'];

/** A case whose processes run. */
interface Running {
  readonly case: StepCase;
  readonly sides: Readonly<Record<SideName, Side>>;
  readonly timings: Readonly<Record<SideName, Timing[]>>;
  readonly agreement: readonly Distance[];
}

/** Throws Error where the sides computed different things or a process ended. */
export async function measureGroup(
  cases: readonly StepCase[],
  measurement: Measurement,
): Promise<CaseResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  const started: Side[] = [];
  try {
    const running: Running[] = [];
    for (const each of cases) running.push(await start(each, folder, started, measurement));
    for (let round = 0; round < measurement.rounds; round++) {
      for (const each of running) await runRound(each, round, measurement);
    }
    const results: CaseResult[] = [];
    for (const each of running) results.push(await finish(each));
    return results;
  } finally {
    await Promise.all(started.map((side) => side.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** This project's side first: it writes the weights. */
async function start(
  stepCase: StepCase,
  folder: string,
  started: Side[],
  { threads, torch, engines, say }: Measurement,
): Promise<Running> {
  const { train, loss, memory } = configOf(stepCase.workload);
  const task: SideTask = { case: stepCase, threads, folder, train, loss, memory };
  const open = async (name: SideName) => {
    const side = await Side.start(name, task, torch);
    started.push(side);
    engines[name] = side.ready.engine;
    return side;
  };
  const sides = { cirkd: await open('cirkd'), torch: await open('torch') };
  const ours = await sides.cirkd.ask({ do: 'check' });
  const peer = await sides.torch.ask({ do: 'check' });
  const agreement = compareChecks(stepCase.name, ours, peer);
  say(`${stepCase.name}: both sides compute the same`);
  for (const name of SIDES) {
    for (let i = 0; i < WARM_UP_STEPS; i++) await sides[name].ask({ do: 'step' });
  }
  return { case: stepCase, sides, timings: { cirkd: [], torch: [] }, agreement };
}

/** Each side is first in every other round. */
async function runRound(
  { case: stepCase, sides, timings }: Running,
  round: number,
  { say }: Measurement,
): Promise<void> {
  for (const name of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
    await sleep(PAUSE_MS);
    timings[name].push(await sides[name].ask({ do: 'step' }));
  }
  const last = SIDES.map((name) => `${name} ${JSON.stringify(rounded(timings[name].at(-1)!))} ms`);
  say(`${stepCase.name}, round ${round + 1}: ${last.join(', ')}`);
}

const rounded = (timing: Timing) =>
  Object.fromEntries(Object.entries(timing).map(([part, ms]) => [part, Math.round(ms)]));

async function finish({ case: stepCase, sides, timings, agreement }: Running): Promise<CaseResult> {
  const result = async (name: SideName): Promise<SideResult> => {
    const { peakKiB } = await sides[name].ask({ do: 'peak' });
    return { startKiB: sides[name].ready.startKiB, peakKiB, rounds: timings[name] };
  };
  const measured = { cirkd: await result('cirkd'), torch: await result('torch') };
  const profile = await sides.cirkd.ask({ do: 'profile', repetitions: PROFILED_STEPS });
  return { case: stepCase, agreement, sides: measured, profile };
}
