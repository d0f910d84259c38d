/** A process for each side, asked shape by shape in turns; and the rate of multiply-adds. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCompiler } from '../../services/setup/addon.mjs';
import { runProgram } from '../../services/setup/subprocess.mjs';
import type { Measuring } from '../support/bench.js';
import { engineOnCpu, type MeasuredProcess, startSide } from '../support/measuredProcess.js';
import { scratchFolder, withOpened } from '../support/opened.js';
import { pythonEnvironment } from '../support/peerPackages.js';
import { type Answers, LEAST_MS, PASSES, type Ready, type Times } from './protocol.js';
import {
  type KernelsFound,
  type Level,
  LEVELS,
  type ShapeResult,
  SIDE_NAMES,
  type SideName,
} from './results.js';
import { type InputSize, type NetworkName, NETWORKS, type NetworkShape } from './shapes.js';

export interface Wanted {
  readonly networks: readonly NetworkName[];
  readonly size: InputSize;
  readonly rounds: number;
}

export async function measureKernels(
  { networks, size, rounds }: Wanted,
  { peer, engines, say, keep }: Measuring<KernelsFound>,
): Promise<KernelsFound> {
  const peak = await multiplyAdds();
  return withOpened(async (open) => {
    const sides = {} as Record<SideName, MeasuredProcess>;
    for (const name of SIDE_NAMES) {
      sides[name] = await open(startKernels(name, peer));
      const { engine } = await sides[name].first<Ready>();
      engines[name === 'torch' ? 'torch' : 'cirkd'] = engine;
    }
    const shapes: ShapeResult[] = [];
    for (const network of networks) {
      for (const shape of await layersOf(network, size)) {
        shapes.push({ network, shape, sides: await inTurns(sides, shape, rounds) });
        say(`${NETWORKS[network].title}: ${JSON.stringify(shape)}`);
        await keep({ peak, shapes });
      }
    }
    return { peak, shapes };
  });
}

function startKernels(name: SideName, torch: string): MeasuredProcess {
  const one = { TF_NUM_INTRAOP_THREADS: '1', OMP_NUM_THREADS: '1' };
  if (name === 'torch') {
    const env = { ...pythonEnvironment(torch), ...one };
    return startSide(import.meta.url, 'peer.py', [String(LEAST_MS)], env);
  }
  const algorithm = name === 'direct' ? { CIRKD_WINOGRAD: 'off' } : {};
  return startSide(import.meta.url, 'cirkdSide.ts', [], { ...engineOnCpu(), ...one, ...algorithm });
}

/** In a process of its own, whose kernels it changes. */
function layersOf(network: NetworkName, size: InputSize): Promise<readonly NetworkShape[]> {
  return withOpened(async (open) => {
    const side = await open(startKernels('here', ''));
    await side.first<Ready>();
    return (await side.ask<Answers['shapes']>({ do: 'shapes', network, size })).shapes;
  });
}

/** The least of the rounds. */
async function inTurns(
  sides: Readonly<Record<SideName, MeasuredProcess>>,
  shape: NetworkShape,
  rounds: number,
): Promise<Record<SideName, Times>> {
  const least = {} as Record<SideName, Times>;
  for (let round = 0; round < rounds; round++) {
    for (const name of SIDE_NAMES) {
      const times = await sides[name].ask<Times>({ do: 'measure', shape });
      const before = least[name] ?? times;
      least[name] = Object.fromEntries(
        PASSES.map((pass) => [pass, Math.min(before[pass], times[pass])]),
      ) as unknown as Times;
    }
  }
  return least;
}

/** Compiled as the kernels are, and run at each level. */
async function multiplyAdds(): Promise<KernelsFound['peak']> {
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  return withOpened(async (open) => {
    const program = join((await open(scratchFolder())).path, 'multiplyAdds');
    const include = ['-I', here('../../src/tensor/native')];
    await runCompiler([
      '-O3',
      '-std=c++17',
      '-ffp-contract=fast',
      ...include,
      here('multiplyAdds.cc'),
      '-o',
      program,
    ]);
    const peak: Partial<Record<Level, number>> = {};
    for (const [number, level] of LEVELS.entries()) {
      const env = { ...process.env, CIRKD_VECTOR_LEVEL: level };
      const { code, output } = await runProgram(program, [], { env });
      if (code !== 0) throw new Error(`multiplyAdds ended with ${code}: ${output}`);
      const found = JSON.parse(output) as { level: number; gigaflops: number };
      // The best that there is, where the processor lacks this one.
      if (found.level === number) peak[level] = found.gigaflops;
    }
    return peak;
  });
}
