/** Starts a worker thread from a module, compiled or not. */
import { Worker } from 'node:worker_threads';

/**
 * @param entry the module's address with the extension that it has in the source tree (`.ts`): in a
 *   compiled tree the `.js` file beside the caller is taken. Give `import.meta.url` as `caller`.
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
