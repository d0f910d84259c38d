/**
 * A program as a container runs it: process 1 of a namespace, user 10001 without any capability, the
 * whole file system read-only but for one volume, nothing on the PATH. Wants root, as an engine does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { eventually } from '../eventually.js';

export const USER = 10_001;
const SLOW_MS = 240_000;

/** $0 is the volume, the rest is the program. Mounts made here go with the namespace. */
const ENTER = `
mount --make-rprivate / && mount -t proc proc /proc && mount --bind "$0" "$0" &&
mount -o remount,bind,ro / && cd "$0" &&
exec setpriv --reuid ${USER} --regid ${USER} --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all env -i PATH=/nowhere HOME=/ "$@"`;

export class ContainedProcess {
  stdout = '';
  stderr = '';
  /** undefined while it runs; null when a signal ended it. */
  exitCode: number | null | undefined;
  readonly #outer: ChildProcess;
  readonly #program: string;

  /** The volume is given to the user, and is the working directory. */
  constructor(volume: string, program: string, ...args: string[]) {
    if (process.getuid?.() !== 0) throw new Error('container tests want root, for mounts');
    chownSync(volume, USER, USER);
    this.#program = program;
    const namespaces = ['--mount', '--pid', '--fork'];
    this.#outer = spawn('unshare', [...namespaces, 'sh', '-c', ENTER, volume, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#outer.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.#outer.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.#outer.once('close', (code) => {
      this.exitCode = code;
    });
  }

  /** To process 1 of the namespace, as an engine sends it; nothing where there is none (any more). */
  signal(name: NodeJS.Signals): void {
    const pid = this.#innerPid();
    if (pid !== null) process.kill(pid, name);
  }

  /** Whether process 1 is the program, and no longer what enters the namespace. */
  get hasBegun(): boolean {
    const pid = this.#innerPid();
    if (pid === null) return false;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`${this.#program}\0`);
  }

  /** As this machine counts, not as the namespace does. */
  #innerPid(): number | null {
    const { pid } = this.#outer;
    try {
      const inner = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      return inner === '' ? null : Number(inner.split(' ')[0]);
    } catch {
      return null;
    }
  }

  /** The exit code. */
  async exit(): Promise<number | null> {
    await this.#until(() => this.exitCode !== undefined);
    return this.exitCode ?? null;
  }

  /** Waits until either stream says something; throws if the process ends first. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const find = () => pattern.exec(this.stderr) ?? pattern.exec(this.stdout);
    await this.#until(() => find() !== null || this.exitCode !== undefined);
    const match = find();
    if (match === null) throw new Error(`ended with ${this.exitCode}:\n${this.stderr}`);
    return match;
  }

  /** Whatever a failed test left running: the namespace goes with its process 1. */
  kill(): void {
    if (this.exitCode === undefined) this.signal('SIGKILL');
  }

  async #until(condition: () => boolean): Promise<void> {
    await eventually(condition, SLOW_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it said\n${this.stderr}`);
    });
  }
}
