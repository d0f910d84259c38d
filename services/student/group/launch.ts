/** `cirkd student --workers N`: the ranks of a group as processes on this machine. */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { StudentConfig } from '../../../src/config/student.js';
import { type Child, type ChildEnd, Children } from '../../program/children.js';
import { freeAddresses } from './freeAddresses.js';

export interface LaunchOptions {
  readonly workers: number;
  readonly config: StudentConfig;
  /** Arguments of `cirkd student` without --workers. */
  readonly args: readonly string[];
  /** Every signal is passed on to the ranks. */
  readonly onSignal: (handler: (signal: NodeJS.Signals) => void) => void;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** Time beyond distributed.timeoutMs for a rank to end by itself when another one has failed. */
const GRACE_MS = 15_000;
/** Rank 0's, beyond that: it saves networks and banks, to a slow volume perhaps. */
const SAVE_MS = 120_000;
/** A signal's number is added to it, as shells do. */
const KILLED = 128;

/**
 * Runs the ranks to their end; returns the exit code of the one that failed first, or 0. When one fails the
 * others end, too: by themselves, or they are made to.
 */
export async function launchGroup(options: LaunchOptions): Promise<number> {
  const { workers, config, args } = options;
  const addresses = await freeAddresses(workers);
  const children = new Children();
  try {
    const ranks = addresses.map((_, rank) => {
      const settings = settingsOf(rank, addresses, config).flatMap((one) => ['--set', one]);
      const child = children.start(['student', ...args, ...settings], ['ignore', 'pipe', 'pipe']);
      prefixLines(child.process.stdout!, options.stdout, rank);
      prefixLines(child.process.stderr!, options.stderr, rank);
      return child;
    });
    options.onSignal((signal) => {
      for (const { process: child } of ranks) child.kill(signal);
    });
    const graceMs = config.distributed.timeoutMs + GRACE_MS;
    return await firstFailure(ranks, (rank) =>
      rank === 0 ? graceMs + SAVE_MS + config.metrics.lingerMs : graceMs,
    );
  } finally {
    await children.close();
  }
}

async function firstFailure(
  ranks: readonly Child[],
  graceMs: (rank: number) => number,
): Promise<number> {
  let failure: number | null = null;
  const killers: NodeJS.Timeout[] = [];
  const watched = ranks.map(async ({ ended }) => {
    const code = exitCodeOf(await ended);
    if (code === 0 || failure !== null) return;
    failure = code;
    for (const [rank, { process: child }] of ranks.entries()) {
      killers.push(setTimeout(() => child.kill('SIGKILL'), graceMs(rank)));
    }
  });
  await Promise.all(watched);
  for (const killer of killers) clearTimeout(killer);
  return failure ?? 0;
}

const SIGNAL_NUMBERS: Partial<Readonly<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

function exitCodeOf({ code, signal }: ChildEnd): number {
  if (code !== null) return code;
  return KILLED + ((signal === null ? undefined : SIGNAL_NUMBERS[signal]) ?? 0);
}

/** Later settings win over those of the command line, which are the same for all ranks. */
function settingsOf(
  rank: number,
  addresses: readonly string[],
  { metrics: { port } }: StudentConfig,
): string[] {
  const ownPort = port === null || port === 0 || rank === 0 ? [] : [`metrics.port=${port + rank}`];
  return [
    `distributed.workers=${JSON.stringify(addresses)}`,
    `distributed.index=${rank}`,
    `distributed.perMachine=${addresses.length}`,
    ...ownPort,
  ];
}

function prefixLines(from: Readable, to: Writable, rank: number): void {
  createInterface({ input: from }).on('line', (line) => to.write(`[rank ${rank}] ${line}\n`));
}
