/** Any `cirkd` command as a child process. */
import type { ChildProcess } from 'node:child_process';
import { eventually } from '../eventually.js';
import { type Inside, spawnCirkd, type WithEnvironment } from './spawnCirkd.js';

/** A run of a few steps on a busy machine. */
const RUN_MS = 240_000;

export class CirkdProcess {
  stdout = '';
  stderr = '';
  /** undefined while it runs; null when a signal ended it. */
  exitCode: number | null | undefined;
  readonly child: ChildProcess;

  constructor(...args: (string | Inside | WithEnvironment)[]) {
    this.child = spawnCirkd(args);
    this.child.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.child.once('close', (code) => {
      this.exitCode = code;
    });
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** The exit code; null when a signal ended it. */
  async exit(): Promise<number | null> {
    await this.#until(() => this.exitCode !== undefined);
    return this.exitCode ?? null;
  }

  /** Waits until the error stream says something; throws if the process ends first. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    await this.#until(() => pattern.test(this.stderr) || this.exitCode !== undefined);
    const match = pattern.exec(this.stderr);
    if (match === null) throw new Error(`ended with ${this.exitCode}:\n${this.stderr}`);
    return match;
  }

  /** Whatever a failed test left running. */
  kill(): void {
    if (this.exitCode === undefined) this.child.kill('SIGKILL');
  }

  async #until(condition: () => boolean): Promise<void> {
    await eventually(condition, RUN_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it said\n${this.stderr}`);
    });
  }
}
