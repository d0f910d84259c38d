/** Child processes of a command. None outlives it: if it is killed, they notice that it is gone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from './packageRoot.js';

/** Enough for a short step and saving. */
const GRACE_MS = 10_000;

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<ChildEnd>;
}

/** A child ended too early or with a fault; the demo ends with its exit code. */
export class ChildFailedError extends Error {
  override readonly name = 'ChildFailedError';
  readonly exitCode: number;

  constructor(what: string, { code, signal }: ChildEnd, output = '') {
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    super(`${what} ended with ${how}${output === '' ? '' : `; its last lines:\n${output}`}`);
    // Even 0 is a fault if the child should have kept running.
    this.exitCode = code === null || code === 0 ? 1 : code;
  }
}

export class Children {
  readonly #running = new Set<Child>();
  /** The last resort: process.exit() doesn't wait for anything asynchronous. */
  readonly #killAll = () => {
    for (const { process: child } of this.#running) child.kill('SIGKILL');
  };

  readonly #graceMs: number;

  /** @param graceMs time for a child to end when asked to; then it is killed */
  constructor(graceMs = GRACE_MS) {
    this.#graceMs = graceMs;
    process.on('exit', this.#killAll);
  }

  /** Starts `cirkd` with these arguments, tied to this process: see services/cli/bin.mjs. */
  start(
    args: readonly string[],
    stdio: readonly ('ignore' | 'inherit' | 'pipe' | number)[],
  ): Child {
    const bin = join(packageRoot(), 'services', 'cli', 'bin.mjs');
    const spawned = spawn(process.execPath, [bin, ...args], {
      stdio: [...stdio, 'ipc'],
      // TF_CONFIG is this process's own place in a group: it would put each child there.
      env: { ...process.env, CIRKD_PARENT_PIPE: '1', TF_CONFIG: undefined },
    });
    const ended = new Promise<ChildEnd>((resolve, reject) => {
      spawned.once('error', reject);
      spawned.once('close', (code, signal) => resolve({ code, signal }));
    });
    const child: Child = { process: spawned, ended };
    this.#running.add(child);
    const forget = () => this.#running.delete(child);
    ended.then(forget, forget);
    return child;
  }

  /** Asks every child to end, kills what doesn't, and waits until all are gone. */
  async close(): Promise<void> {
    const ending = [...this.#running].map(async (child) => {
      child.process.kill('SIGTERM');
      const kill = setTimeout(() => child.process.kill('SIGKILL'), this.#graceMs);
      await child.ended.catch(() => {});
      clearTimeout(kill);
    });
    await Promise.all(ending);
    process.off('exit', this.#killAll);
  }
}
