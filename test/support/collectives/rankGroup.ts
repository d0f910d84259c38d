/** Groups of processes that run collectives on demand (rank.ts). */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freeAddresses } from '../../../services/student/group/freeAddresses.js';

const PROGRAM = fileURLToPath(new URL('./rank.ts', import.meta.url));

/** What a rank answers to a command; `ms`: how long it took. */
export type Answer = { readonly ms: number; readonly error?: string; readonly message?: string } & {
  readonly [field: string]: unknown;
};

export class RankProcess {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(rank: number, addresses: readonly string[]) {
    const args = ['--import', 'tsx', PROGRAM, String(rank), ...addresses];
    this.#process = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  async call(command: object): Promise<Answer> {
    this.#process.stdin!.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`a rank ended during ${JSON.stringify(command)}`);
    return JSON.parse(value) as Answer;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves with its exit code when it has ended by itself. */
  end(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => {
      this.#process.once('exit', (code) => resolve(code));
    });
    this.#process.stdin!.end();
    return ended;
  }
}

export class RankGroup {
  static readonly #started = new Set<RankProcess>();
  readonly ranks: readonly RankProcess[];

  /** The ranks are started, and have not joined. */
  static async start(size: number): Promise<RankGroup> {
    return new RankGroup(await freeAddresses(size));
  }

  static startAt(addresses: readonly string[]): RankGroup {
    return new RankGroup(addresses);
  }

  private constructor(addresses: readonly string[]) {
    this.ranks = addresses.map((_, rank) => new RankProcess(rank, addresses));
    for (const rank of this.ranks) RankGroup.#started.add(rank);
  }

  /** The same command on all ranks at once, or on some. */
  all(command: object, ranks = this.ranks): Promise<Answer[]> {
    return Promise.all(ranks.map((rank) => rank.call(command)));
  }

  /** For afterEach. */
  static killAll(): void {
    for (const rank of RankGroup.#started) rank.signal('SIGKILL');
    RankGroup.#started.clear();
  }
}
