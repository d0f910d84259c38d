/**
 * A run folder belongs to one process at a time: run.lock names it. The lock of a process that is
 * gone (killed, or the machine restarted) is taken over.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { RunFolderError } from './runFolder.js';

const LOCK_NAME = 'run.lock';

const ownerSchema = z.strictObject({
  pid: z.number().int().min(1),
  /** As the system counts it, which tells two processes of one number apart; null: not known. */
  started: z.string().nullable(),
});

type Owner = z.infer<typeof ownerSchema>;

export interface RunLock {
  /** A folder that holds nothing else goes too. */
  release(): Promise<void>;
}

/** The folder must exist. Throws RunFolderError, naming the process, where a live one has it. */
export async function lockRun(folder: string): Promise<RunLock> {
  const path = join(folder, LOCK_NAME);
  for (;;) {
    if (takeLock(path)) return { release: () => release(folder, path) };
    const text = readLock(path);
    if (text === null) continue; // released meanwhile
    const owner = parseOwner(text);
    if (owner !== null && isAlive(owner)) {
      throw new RunFolderError(`${folder}: in use by process ${owner.pid}`);
    }
    await removeStale(path, text);
  }
}

async function release(folder: string, path: string): Promise<void> {
  await rm(path, { force: true });
  // One that holds something stays.
  await rmdir(folder).catch(() => {});
}

/** false: there is one already. */
function takeLock(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    const owner: Owner = { pid: process.pid, started: startOf(process.pid) };
    writeSync(file, `${JSON.stringify(owner)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return true;
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
