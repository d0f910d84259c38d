/**
 * A run folder belongs to one process at a time: run.lock names it. The lock of a process that is
 * gone (killed, or the machine restarted) is taken over. Processes of another host or container
 * that share the folder can't be looked up, and each container has its process 1: their lock counts
 * as long as its owner touches it.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { rename, rm, rmdir, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RunFolderError } from './runFolder.js';

const LOCK_NAME = 'run.lock';

const ownerSchema = z.strictObject({
  pid: z.number().int().min(1),
  /** As the system counts it, which tells two processes of one number apart; null: not known. */
  started: z.string().nullable(),
  /** Of the machine or container; a pod's is its own. */
  host: z.string(),
});

type Owner = z.infer<typeof ownerSchema>;

export interface LockTimes {
  /** How often the owner touches its lock. */
  readonly beatMs: number;
  /** Another host's lock that nobody touches for so long is left behind. */
  readonly silentMs: number;
}

const TIMES: LockTimes = { beatMs: 5000, silentMs: 20_000 };

/** Of a look whether another host's lock has been touched. */
const LOOK_MS = 200;

export interface RunLock {
  /** A folder that holds nothing else goes too. */
  release(): Promise<void>;
}

/**
 * The folder must exist. Throws RunFolderError, naming the process, where a live one has it. Where
 * another host's process left a lock, that takes `silentMs`.
 */
export async function lockRun(folder: string, times: LockTimes = TIMES): Promise<RunLock> {
  const path = join(folder, LOCK_NAME);
  for (;;) {
    const own = takeLock(path);
    if (own !== null) return held(folder, path, own, times);
    const text = readLock(path);
    if (text === null) continue; // released meanwhile
    const owner = parseOwner(text);
    const isHere = owner?.host === hostname();
    if (owner !== null && (isHere ? isAlive(owner) : await isTouched(path, times.silentMs))) {
      const where = isHere ? '' : ` on ${owner.host}`;
      throw new RunFolderError(`${folder}: in use by process ${owner.pid}${where}`);
    }
    await removeStale(path, text);
  }
}

function held(folder: string, path: string, own: string, { beatMs }: LockTimes): RunLock {
  const beat = setInterval(() => {
    const now = new Date();
    // What another host sees is the change, not the time: clocks differ.
    utimes(path, now, now).catch(() => {});
  }, beatMs);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      // Whoever stood still for longer than silentMs may have lost it: then it is another's.
      if (readLock(path) === own) await release(folder, path);
    },
  };
}

async function release(folder: string, path: string): Promise<void> {
  await rm(path, { force: true });
  // One that holds something stays.
  await rmdir(folder).catch(() => {});
}

/** What it says; null: there is one already. */
function takeLock(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
    throw error;
  }
  const owner: Owner = { pid: process.pid, started: startOf(process.pid), host: hostname() };
  const text = `${JSON.stringify(owner)}\n`;
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return text;
}

/** Somebody else may have taken it over since it was read: then theirs goes back. */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = `${path}.stale-${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readLock(aside) === text) await rm(aside, { force: true });
  else await rename(aside, path);
}

function readLock(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** null where its owner was killed before the text was whole. */
function parseOwner(text: string): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** false: not within `silentMs`, or it has gone. */
async function isTouched(path: string, silentMs: number): Promise<boolean> {
  const first = touchedMs(path);
  const end = performance.now() + silentMs;
  while (performance.now() < end) {
    await sleep(Math.min(LOOK_MS, silentMs));
    const now = touchedMs(path);
    if (now === null) return false;
    if (now !== first) return true;
  }
  return false;
}

/** Opened for each look: NFS asks its server then, and gives stat() what it remembers. */
function touchedMs(path: string): number | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return fstatSync(file).mtimeMs;
  } finally {
    closeSync(file);
  }
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: alive, and somebody else's.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || now === started;
}

/** When a process began, in ticks since the system's start; null where /proc doesn't say. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the name in brackets, may hold spaces; this is the 22nd.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
