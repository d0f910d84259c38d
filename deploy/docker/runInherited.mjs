import { spawnSync } from 'node:child_process';

/**
 * Runs a program whose output is the caller's.
 * @param {string} cwd
 * @param {string} program
 * @param {...string} args
 */
export function runInherited(cwd, program, ...args) {
  const { status, signal, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status === 0) return;
  throw new Error(`${[program, ...args].join(' ')} ended with ${signal ?? `exit code ${status}`}`);
}
