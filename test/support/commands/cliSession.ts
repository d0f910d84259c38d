/**
 * `cirkd` commands in one process of their own, one after the other: TensorFlow is loaded once, not
 * for each. What a command leaves open, the next one meets.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class CliSession {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./cliLoop.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
    });
  }

  /** Waits for the commands before it. Rejects where the process ends. */
  run(...argv: string[]): Promise<CommandEnd> {
    const end = this.#last.then(() => this.#ask(argv));
    this.#last = end.catch(() => {});
    return end;
  }

  close(): void {
    this.#child.kill();
  }

  #ask(argv: readonly string[]): Promise<CommandEnd> {
    return new Promise((resolve, reject) => {
      const gone = (code: number | null) =>
        reject(new Error(`cirkd ${argv.join(' ')}: the process ended with ${code}`));
      if (this.#child.exitCode !== null) return gone(this.#child.exitCode);
      this.#child.once('exit', gone);
      this.#child.once('message', (end: CommandEnd) => {
        this.#child.off('exit', gone);
        resolve(end);
      });
      this.#child.send(argv);
    });
  }
}
