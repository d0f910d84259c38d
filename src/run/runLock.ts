/**
 * A run folder belongs to one process at a time, which run.lock names. The lock of a process that no
 * longer exists (killed, or the machine restarted) is taken over. Whether a process of another host
 * or container exists can't be looked up, and process numbers repeat between containers: its lock is
 * valid as long as the owner keeps touching the file.
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
  /** Start time in ticks, which tells processes with the same number apart; null: unknown. */
  started: z.string().nullable(),
  /** Host name of the machine, container or pod. */
  host: z.string(),
});

type Owner = z.infer<typeof ownerSchema>;

export interface LockTimes {
  /** How often the owner touches its lock. */
  readonly beatMs: number;
  /** Another host's lock is taken over if its owner doesn't touch it for this long. */
  readonly silentMs: number;
}

const TIMES: LockTimes = { beatMs: 5000, silentMs: 20_000 };

/** How often another host's lock is checked for having been touched. */
const POLL_MS = 200;

/** A lock that is held: its file is touched regularly until release(), and stays after a kill. */
export interface RunLock {
  /** Removes the lock, and the folder if nothing else is in it. */
  release(): Promise<void>;
}

/**
 * Takes the lock of an existing folder. Throws RunFolderError, which names the process, if a live one
 * holds it. Waits up to `silentMs` if the lock is another host's.
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
    // Other hosts watch for a change, not for the time itself, because clocks differ.
    utimes(path, now, now).catch(() => {});
  }, beatMs);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      // A process that was stopped for longer than silentMs may have lost the lock to another.
      if (readLock(path) === own) await release(folder, path);
    },
  };
}

async function release(folder: string, path: string): Promise<void> {
  await rm(path, { force: true });
  // Fails for a folder that isn't empty, which is then kept.
  await rmdir(folder).catch(() => {});
}

/** Creates the lock and returns its text; null if there is one already. */
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

/** Removes a lock if it still has that text; puts back one that replaced it since it was read. */
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

/** null if the text is incomplete because its owner was killed while writing it. */
function parseOwner(text: string): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Whether the owner touches the lock within `silentMs`; false if the lock disappears meanwhile. */
async function isTouched(path: string, silentMs: number): Promise<boolean> {
  const first = touchedMs(path);
  const end = performance.now() + silentMs;
  while (performance.now() < end) {
    await sleep(Math.min(POLL_MS, silentMs));
    const now = touchedMs(path);
    if (now === null) return false;
    if (now !== first) return true;
  }
  return false;
}

/** Modification time. Opens the file each time: NFS answers stat() from a cache otherwise. */
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
    // EPERM: the process exists and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || now === started;
}

/** When a process started, in ticks since the system's boot; null if /proc doesn't say. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22. Counted from the end of field 2, the name in brackets, which may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
