/** One measured process, from the outside: started, asked, ended. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { peerEnvironment } from '../support/torchPackages.js';
import type { Answers, Ready, Request, SideName, SideTask } from './protocol.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const NETWORKS = fileURLToPath(new URL('../../test/support/torch', import.meta.url));
const COMPLAINTS_LENGTH = 4000;

export class Side {
  readonly name: SideName;
  ready!: Ready;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers: AsyncIterator<string>;
  readonly #kill = () => this.#child.kill('SIGKILL');
  /** It may never have begun. */
  readonly #ended: Promise<void>;
  #complaints = '';

  /** Resolves once the process is ready. @param torch folder of PyTorch's packages */
  static async start(name: SideName, task: SideTask, torch: string): Promise<Side> {
    const side = new Side(name, task, torch);
    try {
      side.ready = (await side.#next()) as Ready;
      return side;
    } catch (error) {
      side.#kill();
      throw error;
    }
  }

  private constructor(name: SideName, task: SideTask, torch: string) {
    this.name = name;
    const [program, args] =
      name === 'cirkd'
        ? [process.execPath, ['--expose-gc', '--import', 'tsx', join(HERE, 'cirkdSide.ts')]]
        : ['python3', [join(HERE, 'peer.py')]];
    this.#child = spawn(program, [...args, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: sideEnvironment(name, torch),
    });
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

  async ask<K extends Request['do']>(request: Request & { readonly do: K }): Promise<Answers[K]> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return (await this.#next()) as Answers[K];
  }

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

/** Both on the CPU, also where there is a GPU; this side as `cirkd` itself starts. */
function sideEnvironment(name: SideName, torch: string): NodeJS.ProcessEnv {
  const env = name === 'torch' ? peerEnvironment(torch, NETWORKS) : process.env;
  const hidden = { ...env, CUDA_VISIBLE_DEVICES: '' };
  return name === 'torch' ? hidden : { ...hidden, ...engineEnvironment(hidden) };
}
