/**
 * events.jsonl: the log of a run's events, one JSON object per line, append-only.
 *
 * Each line is written to the kernel immediately, so a killed process loses none. Only sync(), which
 * is called with every checkpoint, guarantees that lines are on disk: a resume cuts off what a power
 * loss could take anyway.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { replaceFile } from './durableFiles.js';

export interface RunEvent {
  /** Number of steps done when the event happened. */
  readonly step: number;
  /** step, evaluation, checkpoint, requeue, ... */
  readonly kind: string;
  readonly [field: string]: unknown;
}

export interface EventLog {
  /** Adds the field `time` (ISO 8601). Numbers that JSON lacks, such as NaN, are written as text. */
  append(event: RunEvent): void;
  /** Flushes all lines to disk. */
  sync(): void;
  /** Flushes and closes the file; append() must not be called afterwards. */
  close(): void;
}

const NEWLINE = 10;

/** Opens the log for appending; starts a new line if the last one is incomplete. */
export function openEventLog(path: string): EventLog {
  const file = openSync(path, 'a+');
  if (!endsWithNewline(file)) writeSync(file, '\n');
  return {
    append(event) {
      const line = JSON.stringify({ ...event, time: new Date().toISOString() }, keepNonFinite);
      writeSync(file, `${line}\n`);
    },
    sync: () => fsyncSync(file),
    close() {
      fsyncSync(file);
      closeSync(file);
    },
  };
}

/** All readable events in order, without incomplete or damaged lines. Empty if there is no file. */
export async function readEvents(path: string): Promise<RunEvent[]> {
  return (await linesOf(path)).map(parseEvent).filter((event) => event !== null);
}

/** The last `start` event of a run; empty if there is none. */
export function lastStart(events: readonly RunEvent[]): Readonly<Record<string, unknown>> {
  return events.findLast(({ kind }) => kind === 'start') ?? {};
}

/**
 * Cuts the log back to a checkpoint: removes events of later steps and incomplete lines. Atomic.
 * Returns the number of lines removed.
 */
export function cutEventsAfter(path: string, step: number): Promise<number> {
  return dropEvents(path, (event) => event.step > step);
}

/** Removes events that match `isGone` and incomplete lines. Atomic. Returns the number removed. */
export async function dropEvents(
  path: string,
  isGone: (event: RunEvent) => boolean,
): Promise<number> {
  const lines = await linesOf(path);
  const kept = lines.filter((line) => {
    const event = parseEvent(line);
    return event !== null && !isGone(event);
  });
  if (kept.length < lines.length) {
    await replaceFile(path, kept.map((line) => `${line}\n`).join(''));
  }
  return lines.length - kept.length;
}

async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function parseEvent(line: string): RunEvent | null {
  try {
    const event = JSON.parse(line) as RunEvent | null;
    return typeof event?.step === 'number' && typeof event.kind === 'string' ? event : null;
  } catch {
    return null;
  }
}

function keepNonFinite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function endsWithNewline(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return true;
  const last = new Uint8Array(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] === NEWLINE;
}
