/** A process of networkChild.ts that a test can kill and start again at its address. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../../services/setup/engineEnvironment.mjs';
import { eventually } from '../eventually.js';
import type { NetworkJob } from './networkChild.js';

const CHILD = fileURLToPath(new URL('./networkChild.ts', import.meta.url));

export class NetworkServer {
  static readonly #started = new Set<ChildProcess>();

  readonly address: string;
  readonly #job: NetworkJob;
  #child: ChildProcess;

  static async start(job: Omit<NetworkJob, 'port'>): Promise<NetworkServer> {
    const { child, port } = await launch({ ...job, port: 0 });
    return new NetworkServer(child, { ...job, port });
  }

  /** For afterEach. */
  static killAll(): void {
    for (const child of NetworkServer.#started) child.kill('SIGKILL');
    NetworkServer.#started.clear();
  }

  private constructor(child: ChildProcess, job: NetworkJob) {
    this.#child = child;
    this.#job = job;
    this.address = `oip://127.0.0.1:${job.port}/segmenter`;
    NetworkServer.#started.add(child);
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await eventually(() => this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  /** Answers no image that comes from now on; resolves when it has one. */
  async hold(): Promise<void> {
    let held = '';
    this.#child.stdout!.on('data', (text) => {
      held += text;
    });
    this.#child.kill('SIGUSR2');
    await eventually(() => held.includes('held\n'));
  }

  /** SIGSTOP, and SIGCONT. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Another process at the same address; resolves when it serves. */
  async restart(): Promise<void> {
    this.#child = (await launch(this.#job)).child;
    NetworkServer.#started.add(this.#child);
  }
}

async function launch(job: NetworkJob): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...engineEnvironment(process.env) },
  });
  let [said, faults] = ['', ''];
  child.stdout.on('data', (text) => {
    said += text;
  });
  child.stderr.on('data', (text) => {
    faults += text;
  });
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}:\n${faults}`);
    return said.includes('\n');
  });
  return { child, port: Number(said) };
}
