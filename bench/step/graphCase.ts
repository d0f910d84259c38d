/**
 * A teacher that comes as a graph beside this project's own kernels, on the same weights: torchvision's
 * DeepLabV3-ResNet-50, exported to ONNX by PyTorch and run by onnxruntime.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { configOf } from '../../services/cli/bench/workload.js';
import { runProgram, tail } from '../../services/setup/subprocess.mjs';
import { ensureOnnxExporter, ensureTorchvision } from '../support/torchPackages.js';
import { compareChecks, type Distance } from './agreement.js';
import type { CaseSize, StepCase } from './cases.js';
import type { Measurement } from './measure.js';
import type { SideTask } from './protocol.js';
import type { SideResult } from './results.js';
import { Side } from './side.js';

export const GRAPH_CASE = 'graph';
export const GRAPH_FILE = 'teacher.onnx';

export interface GraphResult {
  readonly case: StepCase;
  readonly agreement: readonly Distance[];
  /** This project's kernels, and the graph's library. */
  readonly own: SideResult;
  readonly graph: SideResult;
  /** "onnxruntime 1.30.0 cpu" */
  readonly runtime: string;
}

const EXPORT = fileURLToPath(new URL('graphExport.py', import.meta.url));
const PAUSE_MS = 100;
const CLASSES = 21;

export function graphCase(size: Omit<CaseSize, 'widthMultiplier'>): StepCase {
  return {
    name: GRAPH_CASE,
    kind: 'teacher',
    title: "teacher forward, torchvision's DeepLabV3-ResNet-50",
    workload: {
      ...{ model: 'torchvision_deeplabv3', backbone: 'resnet50_plain', variant: 'v1' },
      ...{ ...size, widthMultiplier: 1, classes: CLASSES, images: 2 },
      ...{ loss: 'labels', teacherChannels: 256 },
    },
  };
}

/** Throws Error where the sides computed different things or a process ended. */
export async function measureGraph(each: StepCase, measurement: Measurement): Promise<GraphResult> {
  const folder = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  const started: Side[] = [];
  try {
    const { train, loss, memory } = configOf(each.workload);
    const { threads, torch, rounds, say } = measurement;
    const task: SideTask = { case: each, threads, folder, train, loss, memory };
    const open = async (name: 'cirkd' | 'graph') => {
      const side = await Side.start(name, task, torch);
      started.push(side);
      return side;
    };
    const own = await open('cirkd');
    measurement.engines.cirkd = own.ready.engine;
    await exportGraph(folder, measurement);
    const graph = await open('graph');
    const checks = [await own.ask({ do: 'check' }), await graph.ask({ do: 'check' })] as const;
    const agreement = compareChecks(each.name, ...checks);
    say(`${each.name}: both sides compute the same`);
    const sides = { own, graph };
    const timings = await takeTurns(sides, rounds, say);
    const result = async (name: keyof typeof sides): Promise<SideResult> => {
      const { peakKiB } = await sides[name].ask({ do: 'peak' });
      return { startKiB: sides[name].ready.startKiB, peakKiB, rounds: timings[name] };
    };
    const runtime = graph.ready.engine;
    return {
      case: each,
      agreement,
      own: await result('own'),
      graph: await result('graph'),
      runtime,
    };
  } finally {
    await Promise.all(started.map((side) => side.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each side is first in every other round; one step each goes before, untimed. */
async function takeTurns(
  sides: { readonly own: Side; readonly graph: Side },
  rounds: number,
  say: (text: string) => void,
) {
  const timings = { own: [] as { forward: number }[], graph: [] as { forward: number }[] };
  for (const side of [sides.own, sides.graph]) await side.ask({ do: 'step' });
  for (let round = 0; round < rounds; round++) {
    const names = ['own', 'graph'] as const;
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await sleep(PAUSE_MS);
      timings[name].push((await sides[name].ask({ do: 'step' })) as { forward: number });
    }
    const last = names.map((name) => `${name} ${Math.round(timings[name].at(-1)!.forward)} ms`);
    say(`${GRAPH_CASE}, round ${round + 1}: ${last.join(', ')}`);
  }
  return timings;
}

/** The weights that this project's side wrote, as a graph. */
async function exportGraph(folder: string, { torch, say }: Measurement): Promise<void> {
  const packages = [torch, await ensureTorchvision(say), await ensureOnnxExporter(say)];
  const env = {
    ...process.env,
    PYTHONPATH: packages.join(delimiter),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const { code, output } = await runProgram('python3', [EXPORT, folder, String(CLASSES)], { env });
  if (code !== 0) throw new Error(`the export failed:\n${tail(output)}`);
}
