/** Settings of the whole process that only native code can make (native/process/). */
import { readInt32, vector } from './create.js';
import { execute } from './execute.js';
import { scope } from './tensor.js';

/** Gives memory that was freed, but that the C library keeps, back to the system (glibc only). */
export function returnFreedMemory(): void {
  scope(() => {
    execute('CirkdReturnMemory', [], []);
  });
}

/**
 * All threads of this process, and those that they start from now on, run on these processors only (Linux only). Returns
 * the number of threads. Throws an Error with the system's reason.
 */
export function useProcessors(processors: readonly number[]): number {
  return scope(() => readInt32(execute('CirkdUseProcessors', [vector(processors)], []))[0]!);
}
