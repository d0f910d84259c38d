/** Starts one measured process and gives what it says, or why it was stopped. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { peerEnvironment } from '../support/torchPackages.js';
import type { SideReport, SideTask } from './sideReport.js';

export type SideName = 'cirkd' | 'torch';

export interface Limits {
  readonly memoryGiB: number;
  readonly seconds: number;
}

/** Reached in the middle of a point that was thought to fit. */
export class LimitReached extends Error {
  override readonly name = 'LimitReached';
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** How PyTorch and Python say it. */
const OUT_OF_MEMORY = /can't allocate memory|MemoryError/;
const LOOK_EVERY_MS = 250;
/** Starting, making the inputs and sampling the products, beside the computation that is limited. */
const AROUND_SECONDS = 60;

/** @param torch folder of PyTorch's packages */
export async function runSide(
  side: SideName,
  task: SideTask,
  limits: Limits,
  torch: string,
): Promise<SideReport> {
  const [program, args] =
    side === 'cirkd'
      ? [process.execPath, ['--expose-gc', '--import', 'tsx', join(HERE, 'cirkdSide.ts')]]
      : ['python3', [join(HERE, 'peer.py')]];
  const child = spawn(program, [...args, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: side === 'torch' ? peerEnvironment(torch) : process.env,
  });
  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  const watch = watchLimits(child, limits);
  try {
    const { code, signal, output, complaints } = await ended(child);
    if (watch.reached !== '') throw new LimitReached(watch.reached);
    if (signal === 'SIGKILL' || (code !== 0 && OUT_OF_MEMORY.test(complaints))) {
      throw new LimitReached('no memory left');
    }
    if (code !== 0) throw new Error(`${side}: code ${code}, signal ${signal}\n${complaints}`);
    return JSON.parse(output) as SideReport;
  } finally {
    watch.stop();
    process.off('exit', onExit);
  }
}

interface Watch {
  /** What the process was ended for; '' if it wasn't. */
  reached: string;
  stop(): void;
}

function watchLimits(child: ChildProcess, { memoryGiB, seconds }: Limits): Watch {
  const end = (why: string) => {
    watch.reached = why;
    child.kill('SIGKILL');
  };
  const late = setTimeout(() => end(`more than ${seconds} s`), 1000 * (seconds + AROUND_SECONDS));
  const look = setInterval(() => {
    if (residentKiB(child.pid) > memoryGiB * 2 ** 20) end(`more than ${memoryGiB} GiB`);
  }, LOOK_EVERY_MS);
  const watch = {
    reached: '',
    stop: () => {
      clearTimeout(late);
      clearInterval(look);
    },
  };
  return watch;
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** TensorFlow greets on it at every start: of interest only where something fails. */
  readonly complaints: string;
}

function ended(child: ChildProcessByStdio<null, Readable, Readable>): Promise<End> {
  return new Promise((resolve, reject) => {
    let [output, complaints] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      complaints += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, output, complaints }));
  });
}

/** 0 for a process that has gone. */
function residentKiB(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
