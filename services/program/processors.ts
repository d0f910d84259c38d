/** The processors that a service's threads are to run on: `cpus` in its config. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processorsOf } from '../../src/config/sections/processorList.js';
import { availableCores } from '../../src/threads/availableCores.js';

/** A processor that doesn't exist or that this process may not use. Exit code 2. */
export class ProcessorsError extends Error {
  override readonly name = 'ProcessorsError';
}

/**
 * The numbers of the processors of a list such as "0-3,8"; null for null. Throws ProcessorsError unless each of them exists
 * and is one that this process may use: of its affinity mask, which its control group's cpuset narrows.
 *
 * @param root folder of /proc and /sys; another one in tests
 */
export function chosenProcessors(list: string | null, root = '/'): number[] | null {
  if (list === null) return null;
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read(root, 'proc/self/status'))?.[1];
  if (allowed === undefined) {
    throw new ProcessorsError(`cpus: got ${list}, wanted null: only Linux can pin threads`);
  }
  const present = read(root, 'sys/devices/system/cpu/present').trim() || allowed;
  const processors = processorsOf(list);
  const lacking = without(processors, processorsOf(present));
  if (lacking !== '') {
    throw new ProcessorsError(
      `cpus: got ${list}, but the machine has no processor ${lacking}; wanted some of ${allowed}`,
    );
  }
  const forbidden = without(processors, processorsOf(allowed));
  if (forbidden !== '') {
    throw new ProcessorsError(
      `cpus: got ${list}, but this process may not use processor ${forbidden} ` +
        `(taskset, or the control group's cpuset); wanted some of ${allowed}`,
    );
  }
  return processors;
}

/** Threads inside one operation: as many as given; 0: as many as there are processors, or null: 0, TensorFlow's default. */
export function threadsOn(processors: readonly number[] | null, threads: number): number {
  if (threads > 0 || processors === null) return threads;
  return Math.min(processors.length, availableCores());
}

function without(processors: readonly number[], others: readonly number[]): string {
  const known = new Set(others);
  return processors.filter((each) => !known.has(each)).join(', ');
}

/** '' where there is no such file. */
function read(root: string, path: string): string {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return '';
  }
}
