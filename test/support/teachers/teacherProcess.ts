/** `cirkd teacher` as a child process. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Inside, spawnCirkd } from '../commands/spawnCirkd.js';
import { eventually } from '../eventually.js';

/** Opening TensorFlow and warming up on a busy machine; the longest drain. */
const SLOW_MS = 120_000;

export class TeacherProcess {
  stdout = '';
  stderr = '';
  exitCode: number | null | undefined;
  readonly #child: ChildProcess;

  /** Both ports are free ones unless the arguments say something else. */
  constructor(...args: (string | Inside)[]) {
    const ports = ['--port', '0', '--metrics-port', '0'];
    this.#child = spawnCirkd(['teacher', ...ports, ...args]);
    this.#child.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.#child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.#child.once('close', (code) => {
      this.exitCode = code;
    });
  }

  /** Ports from the log, while the network may still be loading. */
  async listening(): Promise<{ grpcPort: number; metricsUrl: string }> {
    const line = /"grpc":"[^"]*:(\d+)","metrics":"([^"]+)"/;
    await this.#until(() => line.test(this.stderr) || this.#ended());
    const [, port, metricsUrl] = line.exec(this.stderr) ?? [];
    return { grpcPort: Number(port), metricsUrl: metricsUrl ?? '' };
  }

  /** Waits for the line that says it is ready; returns it. */
  async ready(): Promise<string> {
    await this.#until(() => this.stdout.includes('\n') || this.#ended());
    return this.stdout;
  }

  /** The processors that its threads may run on, as Linux lists them: each different list once. */
  allowedProcessors(): string[] {
    const tasks = `/proc/${this.#child.pid}/task`;
    const lists = readdirSync(tasks).flatMap((thread) => {
      try {
        const status = readFileSync(join(tasks, thread, 'status'), 'utf8');
        return /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.slice(1) ?? [];
      } catch {
        return []; // The thread has ended.
      }
    });
    return [...new Set(lists)];
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The exit code. */
  async exit(): Promise<number | null> {
    await this.#until(() => this.exitCode !== undefined);
    return this.exitCode ?? null;
  }

  /** Whatever a failed test left running. */
  kill(): void {
    if (this.exitCode === undefined) this.#child.kill('SIGKILL');
  }

  async #until(condition: () => boolean): Promise<void> {
    await eventually(condition, SLOW_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it said\n${this.stderr}`);
    });
  }

  #ended(): boolean {
    if (this.exitCode === undefined) return false;
    throw new Error(`the teacher ended with ${this.exitCode}:\n${this.stderr}`);
  }
}

/** One scrape of a service's /metrics: the values of metrics without labels, by name. */
export async function scraped(metricsUrl: string): Promise<(name: string) => number> {
  const text = await (await fetch(metricsUrl)).text();
  return (name) => {
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`${name}: no such metric at ${metricsUrl}`);
    return Number(value);
  };
}

export async function metricOf(metricsUrl: string, name: string): Promise<number> {
  return (await scraped(metricsUrl))(name);
}
