/** A process for each side, asked shape by shape in turns; and the rate of multiply-adds. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCompiler } from '../../services/setup/addon.mjs';
import { runProgram } from '../../services/setup/subprocess.mjs';
import type { Measuring } from '../support/bench.js';
import { engineOnCpu, type MeasuredProcess, startSide } from '../support/measuredProcess.js';
import { scratchFolder, withOpened } from '../support/opened.js';
import { pythonEnvironment } from '../support/peerPackages.js';
import { type Answers, LEAST_MS, type Ready, type Times } from './protocol.js';
import {
  type KernelsFound,
  type Level,
  LEVELS,
  type MeasuredLevel,
  type ShapeResult,
  type SideName,
} from './results.js';
import {
  hasWinograd,
  type InputSize,
  type NetworkName,
  NETWORKS,
  type NetworkShape,
  passesOf,
} from './shapes.js';

export interface Wanted {
  readonly levels: readonly MeasuredLevel[];
  readonly networks: readonly NetworkName[];
  readonly size: InputSize;
  readonly rounds: number;
}

export async function measureKernels(
  { levels, networks, size, rounds }: Wanted,
  { peer, engines, say, keep }: Measuring<KernelsFound>,
): Promise<KernelsFound> {
  const peak = await multiplyAdds();
  const shapes: ShapeResult[] = [];
  const layers = new Map<NetworkName, readonly NetworkShape[]>();
  for (const network of networks) layers.set(network, await layersOf(network, size));
  // The processor's own rate is missing at a level that it lacks.
  for (const level of levels.filter((each) => peak[each] !== undefined)) {
    await withOpened(async (open) => {
      const sides = {} as Record<SideName, MeasuredProcess>;
      for (const name of ['here', 'direct', 'torch'] as const) {
        sides[name] = await open(startKernels(name, level, peer));
        const { engine } = await sides[name].first<Ready>();
        engines[name === 'torch' ? 'torch' : 'cirkd'] = engine;
      }
      for (const [network, each] of layers) {
        for (const shape of each) {
          shapes.push({ level, network, shape, sides: await inTurns(sides, shape, rounds) });
          say(`${level}, ${NETWORKS[network].title}: ${JSON.stringify(shape)}`);
          await keep({ peak, shapes });
        }
      }
    });
  }
  return { peak, shapes };
}

/** With the same instructions on both sides. */
function startKernels(name: SideName, level: MeasuredLevel, torch: string): MeasuredProcess {
  const one = { TF_NUM_INTRAOP_THREADS: '1', OMP_NUM_THREADS: '1' };
  if (name === 'torch') {
    const most =
      level === 'medium' ? { ONEDNN_MAX_CPU_ISA: 'AVX2', ATEN_CPU_CAPABILITY: 'avx2' } : {};
    const env = { ...pythonEnvironment(torch), ...one, ...most };
    return startSide(import.meta.url, 'peer.py', [String(LEAST_MS)], env);
  }
  // Some passes are TensorFlow's ops, which are oneDNN's.
  const most = level === 'medium' ? { ONEDNN_MAX_CPU_ISA: 'AVX2' } : {};
  const settings = {
    ...{ ...most, CIRKD_VECTOR_LEVEL: level },
    ...(name === 'direct' ? { CIRKD_WINOGRAD: 'off' } : {}),
  };
  return startSide(import.meta.url, 'cirkdSide.ts', [], { ...engineOnCpu(), ...one, ...settings });
}

/** In a process of its own, whose kernels it changes. */
function layersOf(network: NetworkName, size: InputSize): Promise<readonly NetworkShape[]> {
  return withOpened(async (open) => {
    const side = await open(startKernels('here', 'wide', ''));
    await side.first<Ready>();
    return (await side.ask<Answers['shapes']>({ do: 'shapes', network, size })).shapes;
  });
}

/** The least of the rounds. */
async function inTurns(
  sides: Readonly<Record<SideName, MeasuredProcess>>,
  shape: NetworkShape,
  rounds: number,
): Promise<ShapeResult['sides']> {
  const least: { -readonly [Name in keyof ShapeResult['sides']]: Times } = { here: {}, torch: {} };
  const names = hasWinograd(shape)
    ? (['here', 'direct', 'torch'] as const)
    : (['here', 'torch'] as const);
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const times = await sides[name].ask<Times>({ do: 'measure', shape });
      const before = least[name] ?? {};
      const of = (pass: keyof Times, found: Times) => found[pass] ?? Number.POSITIVE_INFINITY;
      least[name] = Object.fromEntries(
        passesOf(shape).map((pass) => [pass, Math.min(of(pass, before), of(pass, times))]),
      );
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
