// A lock between processes, so that concurrent set-ups do the work once. The results are put in place
// by rename, so even a lock taken over by mistake costs double work, never a broken entry.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from './cache.mjs';
import { systemCode } from './setupError.mjs';

const HEARTBEAT_MS = 5_000;
const SILENT_AFTER_MS = 60_000;
const POLL_MS = 200;

/**
 * Runs `work` while no other process holds the lock file `path`.
 * A lock is stale, and taken over, when its process is gone (same host) or has not touched it for
 * a minute (another host or container that shares the cache).
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @param {(holder: string) => void} [onWait] called once if another process holds the lock
 * @returns {Promise<T>}
 */
export async function withLock(path, work, onWait) {
  const token = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() });
  await mkdir(dirname(path), { recursive: true });
  for (let waited = false; !(await tryTake(path, token)); waited = true) {
    if (await isStale(path)) {
      await takeAway(path);
      continue;
    }
    if (!waited) onWait?.(await holderOf(path));
    await sleep(POLL_MS);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await contentOf(path)) === token) await rm(path, { force: true });
  }
}

/**
 * @param {string} path
 * @param {string} token
 */
async function tryTake(path, token) {
  try {
    await writeFile(path, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path */
async function isStale(path) {
  const [content, entry] = [await contentOf(path), await stat(path).catch(() => undefined)];
  if (!entry) return false;
  if (Date.now() - entry.mtimeMs > SILENT_AFTER_MS) return true;
  try {
    const { pid, host } = JSON.parse(content);
    return host === hostname() && !isRunning(pid);
  } catch {
    return false; // just made, not written yet; silence makes it stale
  }
}

// Renamed before it is removed, so that only one of two processes that found the lock stale gets it.
/** @param {string} path */
async function takeAway(path) {
  const aside = `${path}.${process.pid}`;
  await rename(path, aside).catch(() => undefined);
  await rm(aside, { force: true });
}

/** @param {string} path */
async function holderOf(path) {
  try {
    const { pid, host } = JSON.parse(await contentOf(path));
    return `process ${pid} on ${host}`;
  } catch {
    return 'another process';
  }
}

/** @param {string} path */
async function contentOf(path) {
  return readFile(path, 'utf8').catch(() => '');
}
