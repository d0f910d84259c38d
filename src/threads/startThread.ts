/** Starts a worker thread from a TypeScript or compiled module. */
import { Worker } from 'node:worker_threads';

/**
 * @param caller the caller's `import.meta.url`
 * @param entry the module, relative to the caller, with its extension in the source tree (`.ts`); in a
 *   compiled tree the `.js` file is used
 */
export function startThread(caller: string, entry: string, workerData: unknown): Worker {
  if (!caller.endsWith('.ts')) {
    return new Worker(new URL(entry.replace(/\.ts$/, '.js'), caller), { workerData });
  }
  // A thread doesn't inherit tsx's hooks, and Node doesn't apply --import to a thread's entry.
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const module = JSON.stringify(new URL(entry, caller).href);
  const code = `import(${tsx}).then((tsx) => { tsx.register(); return import(${module}); });`;
  return new Worker(code, { eval: true, workerData });
}
