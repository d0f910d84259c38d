/** Starts one measured process and gives what it says, or why it was stopped. */
import { type MeasuredProcess, ProcessEnded, startSide } from '../support/measuredProcess.js';
import { peerEnvironment } from '../support/peerPackages.js';
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
  const args = [JSON.stringify(task)];
  const started =
    side === 'cirkd'
      ? startSide(import.meta.url, 'cirkdSide.ts', args, process.env, ['--expose-gc'])
      : startSide(import.meta.url, 'peer.py', args, peerEnvironment(torch));
  const watch = watchLimits(started, limits);
  try {
    return await started.first<SideReport>();
  } catch (error) {
    if (watch.reached !== '') throw new LimitReached(watch.reached);
    const { signal, complaints } = error as ProcessEnded;
    if (error instanceof ProcessEnded && (signal === 'SIGKILL' || OUT_OF_MEMORY.test(complaints))) {
      throw new LimitReached('no memory left');
    }
    throw error;
  } finally {
    watch.stop();
    await started.close();
  }
}

interface Watch {
  /** What the process was ended for; '' if it wasn't. */
  reached: string;
  stop(): void;
}

function watchLimits(started: MeasuredProcess, { memoryGiB, seconds }: Limits): Watch {
  const end = (why: string) => {
    watch.reached = why;
    started.kill();
  };
  const late = setTimeout(() => end(`more than ${seconds} s`), 1000 * (seconds + AROUND_SECONDS));
  const look = setInterval(() => {
    if (started.residentKiB() > memoryGiB * 2 ** 20) end(`more than ${memoryGiB} GiB`);
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
