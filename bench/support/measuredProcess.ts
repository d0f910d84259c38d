/** A process that is measured, from the outside: started, asked a line of JSON at a time, ended. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const COMPLAINTS_LENGTH = 4000;
/** The kernel's USER_HZ, 100 on Linux. */
const MS_A_TICK = 10;

export class MeasuredProcess {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers: AsyncIterator<string>;
  readonly #kill = () => this.#child.kill('SIGKILL');
  /** It may never have begun. */
  readonly #ended: Promise<void>;
  #complaints = '';

  constructor(name: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-COMPLAINTS_LENGTH);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', (error) => {
        this.#complaints += error.message;
        resolve();
      });
    });
    // A process that has ended is told of by its answer, which doesn't come.
    this.#child.stdin.on('error', () => {});
    process.once('exit', this.#kill);
  }

  /** Processor time so far, of the kernel for it too; in steps of 10 (Linux). */
  cpuMs(): number {
    const text = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    // Behind the program's name, which may hold anything: fields 3 and on.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_A_TICK;
  }

  /** What it says first, unasked: that it is ready. Ends it where it doesn't come. */
  async first(): Promise<unknown> {
    try {
      return await this.#next();
    } catch (error) {
      this.#kill();
      throw error;
    }
  }

  async ask(request: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.#next();
  }

  /** Closes its input and waits for its end. */
  async close(): Promise<void> {
    process.off('exit', this.#kill);
    this.#child.stdin.end();
    await this.#ended;
  }

  async #next(): Promise<unknown> {
    const { done, value } = await this.#answers.next();
    if (done !== true) return JSON.parse(value);
    await this.#ended;
    throw new Error(`${this.name}: the process ended\n${this.#complaints}`);
  }
}
