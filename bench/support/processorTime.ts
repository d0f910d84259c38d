/** Processor time of processes, from the outside (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's USER_HZ, 100 on Linux. */
const MS_A_TICK = 10;

interface ProcessTimes {
  readonly group: number;
  /** Of the process with all its threads, the kernel's work for it included; in steps of 10. */
  readonly cpuMs: number;
}

/** undefined for one that has ended. */
export function timesOf(pid: number | string): ProcessTimes | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // Behind the program's name, which may hold anything: fields 3 and on.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { group: Number(fields[2]), cpuMs: ticks * MS_A_TICK };
}

/** Of a process group that runs now: a server and what it started. */
export function groupCpuMs(group: number): number {
  const times = readdirSync('/proc').map((name) =>
    /^\d+$/.test(name) ? timesOf(name) : undefined,
  );
  return times.reduce((sum, each) => sum + (each?.group === group ? each.cpuMs : 0), 0);
}
