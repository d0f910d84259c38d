/** Starts and ends child.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadJob } from './child.js';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

export class LoadProcess<Result> {
  /** What it printed; rejects, with what it said, when it fails. */
  readonly result: Promise<Result>;
  readonly #child: ChildProcess;

  constructor(job: LoadJob) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', CHILD, JSON.stringify(job)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    this.#child.stdout?.on('data', (text) => {
      stdout += text;
    });
    this.#child.stderr?.on('data', (text) => {
      stderr += text;
    });
    this.result = new Promise((resolve, reject) => {
      this.#child.once('close', (code) => {
        if (code === 0) resolve(JSON.parse(stdout) as Result);
        else reject(new Error(`load ${JSON.stringify(job)} ended with ${code}: ${stderr}`));
      });
    });
    this.result.catch(() => {});
  }

  /** It finishes what it has begun. */
  stop(): Promise<Result> {
    this.#child.stdin?.end();
    return this.result;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
