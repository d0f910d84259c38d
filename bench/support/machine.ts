/** Where something was measured. */
import { cpus, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly memoryGiB: number;
  readonly node: string;
}

export function machine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown processor',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

export interface MeasuredThere {
  /** ISO date and time of the start. */
  readonly date: string;
  readonly minutes: number;
  readonly machine: Machine;
  readonly threads: number;
  /** 'TensorFlow 2.21.0', 'PyTorch …' */
  readonly engines: { readonly cirkd?: string; readonly torch?: string };
}

/** One line above a page's tables. */
export function machineLine({ date, machine, threads, engines, minutes }: MeasuredThere): string {
  const { processor, memoryGiB, node } = machine;
  return (
    `${date.slice(0, 16).replace('T', ' ')} UTC, ${minutes.toFixed(0)} minutes. ${processor}, ` +
    `${threads} cores, ${memoryGiB} GiB; Node.js ${node}, ${engines.cirkd ?? '–'}, ` +
    `${engines.torch ?? '–'}.`
  );
}
