import { spawn } from 'node:child_process';
import { systemCode } from './setupError.mjs';

/**
 * @typedef {{ code: number | null, signal: string | null, output: string, missing: boolean }} Outcome
 * `output` is stdout and stderr together; `missing` is true if the program was not found.
 */

/** Running children, for {@link stopChildren}. */
const children = new Set();

/**
 * Runs a program with no standard input and collects what it prints.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 * @returns {Promise<Outcome>}
 */
export function runProgram(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd ? { cwd: options.cwd } : {}),
      env: options.env ?? process.env,
      ...(options.timeoutMs ? { timeout: options.timeoutMs } : {}),
    });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => {
      children.delete(child);
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') {
        resolve({ code: null, signal: null, output, missing: true });
      } else reject(error);
    });
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal, output, missing: false });
    });
  });
}

/** Kills every running child, for a set-up that is itself being stopped: none may keep writing into a
 * directory that is being removed. */
export function killChildren() {
  for (const child of children) child.kill('SIGKILL');
}

/**
 * @param {string} output
 * @param {number} [lines]
 * @returns {string} the last lines of a program's output, indented for an error message
 */
export function tail(output, lines = 12) {
  return output
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join('\n');
}
