/** A lock between processes, as a file that exists while it is held. For work of milliseconds. */
import { randomUUID } from 'node:crypto';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LockLimits {
  /** A lock of this age, or that was waited for so long, was left by a process that was killed with it. */
  readonly leftMs: number;
  /** Limit for the wait as a whole: more than one left lock takes. */
  readonly waitMs: number;
}

const LIMITS: LockLimits = { leftMs: 10_000, waitMs: 30_000 };
const POLL_MS = 20;

/** Others held the lock one after the other, or it can't be removed. */
export class LockTimeoutError extends Error {
  override readonly name = 'LockTimeoutError';
}

/** Tells one lock file from another at the same path. */
type Identity = string;

/** Rejects with LockTimeoutError, with the system's error if the file can't be made, or as `work` does. */
export async function withLockFile(
  file: string,
  work: () => Promise<void>,
  limits: LockLimits = LIMITS,
): Promise<void> {
  const own = await acquire(file, limits);
  try {
    await work();
  } finally {
    await removeIf(file, (found) => found === own);
  }
}

async function acquire(file: string, { leftMs, waitMs }: LockLimits): Promise<Identity> {
  const startedAtMs = performance.now();
  // The lock that is waited for, and since when: its own time may lie in the future.
  let seen: Identity | null = null;
  let seenAtMs = startedAtMs;
  for (;;) {
    const own = await create(file);
    if (own !== null) return own;
    const now = performance.now();
    if (now - startedAtMs > waitMs) {
      throw new LockTimeoutError(
        `the lock file ${file} has been there for ${waitMs / 1000} s; remove it if no process uses it`,
      );
    }
    const found = await look(file);
    if (found !== null && found.identity !== seen) {
      seen = found.identity;
      seenAtMs = now;
    }
    const isLeft = found !== null && (found.ageMs > leftMs || now - seenAtMs > leftMs);
    if (isLeft) await removeIf(file, (identity) => identity === seen);
    await sleep(POLL_MS);
  }
}

/** null: there is one. */
async function create(file: string): Promise<Identity | null> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      return identityOf(await handle.stat({ bigint: true }));
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
    throw error;
  }
}

async function look(file: string): Promise<{ identity: Identity; ageMs: number } | null> {
  const status = await stat(file, { bigint: true }).catch(() => null);
  if (status === null) return null;
  return { identity: identityOf(status), ageMs: Date.now() - Number(status.mtimeMs) };
}

function identityOf({ ino, mtimeNs }: { ino: bigint; mtimeNs: bigint }): Identity {
  return `${ino} ${mtimeNs}`;
}

/**
 * Removes the lock if it is the meant one. Between a look and a removal another process may have replaced
 * it, so it is first taken aside under a name of this call's own; another's is put back.
 */
async function removeIf(file: string, isMeant: (identity: Identity) => boolean): Promise<void> {
  const before = await look(file);
  if (before === null || !isMeant(before.identity)) return;
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch {
    // Somebody else has removed it, or the folder can't be changed any more.
    return;
  }
  const taken = await look(aside);
  if (taken !== null && !isMeant(taken.identity)) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}
