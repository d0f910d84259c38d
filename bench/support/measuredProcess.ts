/** A process that is measured, from the outside: started, asked a line of JSON at a time, ended. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { timesOf } from './processorTime.js';

const COMPLAINTS_LENGTH = 4000;

/** It ended before it answered. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded';
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to standard error. */
  readonly complaints: string;

  constructor(process: string, signal: NodeJS.Signals | null, complaints: string) {
    super(`${process}: the process ended\n${complaints}`);
    this.signal = signal;
    this.complaints = complaints;
  }
}

export class MeasuredProcess {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers: AsyncIterator<string>;
  readonly kill = () => this.#child.kill('SIGKILL');
  /** With the signal that ended it. It may never have begun. */
  readonly #ended: Promise<NodeJS.Signals | null>;
  #complaints = '';

  constructor(name: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-COMPLAINTS_LENGTH);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (_code, signal) => resolve(signal));
      this.#child.once('error', (error) => {
        this.#complaints += error.message;
        resolve(null);
      });
    });
    // A process that has ended is told of by its answer, which doesn't come.
    this.#child.stdin.on('error', () => {});
    process.once('exit', this.kill);
  }

  /** Processor time so far, of the kernel for it too; in steps of 10 (Linux). */
  cpuMs(): number {
    return timesOf(this.#child.pid ?? 0)?.cpuMs ?? Number.NaN;
  }

  /** Resident memory; 0 for a process that has gone. */
  residentKiB(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    } catch {
      return 0;
    }
  }

  /** What it says first, unasked: that it is ready. Ends it where it doesn't come. Throws ProcessEnded. */
  async first<Answer>(): Promise<Answer> {
    try {
      return JSON.parse(await this.line()) as Answer;
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Throws ProcessEnded. */
  async ask<Answer>(request: object): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return JSON.parse(await this.line()) as Answer;
  }

  /** The next line that it says, for one that doesn't speak JSON. Throws ProcessEnded. */
  async line(): Promise<string> {
    const { done, value } = await this.#answers.next();
    if (done !== true) return value;
    throw new ProcessEnded(this.name, await this.#ended, this.#complaints);
  }

  /** Closes its input, sends the signal where there is one, and waits for its end. */
  async close(signal?: NodeJS.Signals): Promise<void> {
    process.off('exit', this.kill);
    this.#child.stdin.end();
    if (signal !== undefined) this.#child.kill(signal);
    await this.#ended;
  }
}

/**
 * A side that is a module of this project, or Python's where its name ends so.
 *
 * @param module `import.meta.url` of a module in the file's folder
 * @param flags of Node.js
 */
export function startSide(
  module: string,
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  flags: readonly string[] = [],
): MeasuredProcess {
  const path = fileURLToPath(new URL(file, module));
  if (file.endsWith('.py')) return new MeasuredProcess(file, 'python3', [path, ...args], env);
  const program = [...flags, '--import', 'tsx', path, ...args];
  return new MeasuredProcess(file, process.execPath, program, env);
}

/** Of a side with TensorFlow: on the CPU, also where there is a GPU, and as `cirkd` itself starts. */
export function engineOnCpu(): NodeJS.ProcessEnv {
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  return { ...env, ...engineEnvironment(env) };
}
