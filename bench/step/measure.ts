/** Cases of one group: a process for each side of each, asked in turns. */
import { fileURLToPath } from 'node:url';
import { configOf } from '../../services/cli/bench/workload.js';
import { runProgram, tail } from '../../services/setup/subprocess.mjs';
import type { Measuring } from '../support/bench.js';
import { engineOnCpu, startSide } from '../support/measuredProcess.js';
import { type Open, scratchFolder, withOpened } from '../support/opened.js';
import {
  ensureOnnxExporter,
  ensureTorchvision,
  peerEnvironment,
  pythonEnvironment,
} from '../support/peerPackages.js';
import { inRounds } from '../support/rounds.js';
import { compareChecks, type Distance } from './agreement.js';
import { isGraph, type StepCase } from './cases.js';
import type { Answers, Ready, Request, SideName, SideTask, Timing } from './protocol.js';
import type { CaseResult, GraphResult, SideResult, StepFound } from './results.js';

export interface Measurement extends Measuring<StepFound> {
  readonly rounds: number;
}

const fileHere = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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

function measured<Result>(
  cases: readonly StepCase[],
  measurement: Measurement,
  finish: (running: Running, results: [SideResult, SideResult]) => Promise<Result> | Result,
): Promise<Result[]> {
  return withOpened(async (open) => {
    const folder = (await open(scratchFolder())).path;
    const running: Running[] = [];
    for (const each of cases) running.push(await start(each, folder, open, measurement));
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
  });
}

/** This project's side first: it writes the weights. One step each goes before the rounds, untimed. */
async function start(
  stepCase: StepCase,
  folder: string,
  open: Open,
  { threads, peer: torch, engines, say }: Measurement,
): Promise<Running> {
  const { train, loss, memory } = configOf(stepCase.workload);
  const task: SideTask = { case: stepCase, threads, folder, train, loss, memory };
  const own = await open(openSide('cirkd', task, torch));
  engines.cirkd = own.ready.engine;
  if (isGraph(stepCase)) await exportGraph(folder, stepCase.workload.classes, torch, say);
  const peer = await open(openSide(isGraph(stepCase) ? 'graph' : 'torch', task, torch));
  const checks = [await own.ask({ do: 'check' }), await peer.ask({ do: 'check' })] as const;
  const agreement = compareChecks(stepCase.name, ...checks);
  say(`${stepCase.name}: both sides compute the same`);
  for (const side of [own, peer]) await side.ask({ do: 'step' });
  return { case: stepCase, sides: [own, peer], agreement };
}

/** A measured process. */
interface Side {
  readonly ready: Ready;
  ask<K extends Request['do']>(request: Request & { readonly do: K }): Promise<Answers[K]>;
  close(): Promise<void>;
}

/** Resolves once the process is ready. @param torch folder of PyTorch's packages */
async function openSide(name: SideName, task: SideTask, torch: string): Promise<Side> {
  const args = [JSON.stringify(task)];
  const networks = fileHere('../../test/support/torch');
  const started =
    name === 'torch'
      ? startSide(import.meta.url, 'peer.py', args, peerEnvironment(torch, networks))
      : startSide(import.meta.url, `${name}Side.ts`, args, engineOnCpu(), ['--expose-gc']);
  const ready = await started.first<Ready>();
  return { ready, ask: (request) => started.ask(request), close: () => started.close() };
}

/** PyTorch makes the graph of the weights in a folder. @param torch folder of PyTorch's packages */
async function exportGraph(
  folder: string,
  classes: number,
  torch: string,
  say: (text: string) => void,
): Promise<void> {
  const packages = [torch, await ensureTorchvision(say), await ensureOnnxExporter(say)];
  const args = [fileHere('graphExport.py'), folder, String(classes)];
  const { code, output } = await runProgram('python3', args, {
    env: pythonEnvironment(...packages),
  });
  if (code !== 0) throw new Error(`the export failed:\n${tail(output)}`);
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
