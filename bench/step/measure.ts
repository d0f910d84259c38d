/** Cases of one group: a process for each side of each, asked in turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configOf } from '../../services/cli/bench/workload.js';
import type { Measuring } from '../support/bench.js';
import { inRounds } from '../support/rounds.js';
import { compareChecks, type Distance } from './agreement.js';
import { isGraph, type StepCase } from './cases.js';
import { exportGraph } from './graphExport.js';
import type { SideTask, Timing } from './protocol.js';
import type { CaseResult, GraphResult, SideResult, StepFound } from './results.js';
import { openSide, type Side } from './side.js';

export interface Measurement extends Measuring<StepFound> {
  readonly rounds: number;
}

/** Threads of the side that has just computed go on looking for work for a moment. */
const PAUSE_MS = 100;
const PROFILED_STEPS = 3;

/** A case whose processes run: this project's, and the one that it is measured beside. */
interface Running {
  readonly case: StepCase;
  readonly sides: readonly [own: Side, peer: Side];
  readonly agreement: readonly Distance[];
}

/** Throws Error where the sides computed different things or a process ended. */
export function measureGroup(
  cases: readonly StepCase[],
  measurement: Measurement,
): Promise<CaseResult[]> {
  return measured(cases, measurement, async ({ case: stepCase, sides, agreement }, results) => {
    const [cirkd, torch] = results;
    measurement.engines.torch = sides[1].ready.engine;
    const profile = await sides[0].ask({ do: 'profile', repetitions: PROFILED_STEPS });
    return { case: stepCase, agreement, sides: { cirkd, torch }, profile };
  });
}

/** The same of a teacher as a graph. */
export function measureGraph(stepCase: StepCase, measurement: Measurement): Promise<GraphResult[]> {
  return measured([stepCase], measurement, ({ case: each, sides, agreement }, [own, graph]) => {
    return { case: each, agreement, own, graph, runtime: sides[1].ready.engine };
  });
}

async function measured<Result>(
  cases: readonly StepCase[],
  measurement: Measurement,
  finish: (running: Running, results: [SideResult, SideResult]) => Promise<Result> | Result,
): Promise<Result[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  const started: Side[] = [];
  try {
    const running: Running[] = [];
    for (const each of cases) running.push(await start(each, folder, started, measurement));
    const timings = await takeTurns(running, measurement);
    const results: Result[] = [];
    for (const [index, each] of running.entries()) {
      const result = async (side: 0 | 1): Promise<SideResult> => {
        const { peakKiB } = await each.sides[side].ask({ do: 'peak' });
        const { startKiB } = each.sides[side].ready;
        return { startKiB, peakKiB, rounds: timings[2 * index + side]! };
      };
      results.push(await finish(each, [await result(0), await result(1)]));
    }
    return results;
  } finally {
    await Promise.all(started.map((side) => side.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** This project's side first: it writes the weights. One step each goes before the rounds, untimed. */
async function start(
  stepCase: StepCase,
  folder: string,
  started: Side[],
  { threads, peer: torch, engines, say }: Measurement,
): Promise<Running> {
  const { train, loss, memory } = configOf(stepCase.workload);
  const task: SideTask = { case: stepCase, threads, folder, train, loss, memory };
  const open = async (name: 'cirkd' | 'torch' | 'graph') => {
    const side = await openSide(name, task, torch);
    started.push(side);
    return side;
  };
  const own = await open('cirkd');
  engines.cirkd = own.ready.engine;
  if (isGraph(stepCase)) await exportGraph(folder, stepCase.workload.classes, torch, say);
  const peer = await open(isGraph(stepCase) ? 'graph' : 'torch');
  const checks = [await own.ask({ do: 'check' }), await peer.ask({ do: 'check' })] as const;
  const agreement = compareChecks(stepCase.name, ...checks);
  say(`${stepCase.name}: both sides compute the same`);
  for (const side of [own, peer]) await side.ask({ do: 'step' });
  return { case: stepCase, sides: [own, peer], agreement };
}

function takeTurns(running: readonly Running[], { rounds, say }: Measurement): Promise<Timing[][]> {
  const after = (group: number, round: number, timings: readonly Timing[]) => {
    const [here, peer] = timings.map((timing) => JSON.stringify(rounded(timing)));
    say(`${running[group]!.case.name}, round ${round}: here ${here} ms, the other ${peer} ms`);
  };
  return inRounds(
    running.map(({ sides }) => sides),
    { rounds, alternating: true, pauseMs: PAUSE_MS, after },
    (side) => side.ask({ do: 'step' }),
  );
}

const rounded = (timing: Timing) =>
  Object.fromEntries(Object.entries(timing).map(([part, ms]) => [part, Math.round(ms)]));
