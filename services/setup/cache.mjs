// The cache outside the clone, so that a second clone needn't download everything again.
// Every entry is built in tmp/ and renamed into place whole, so an entry that exists is complete.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { SetupError, systemCode } from './setupError.mjs';

const ABANDONED_AFTER_MS = 24 * 3600 * 1000;
const HOST = hostname().replaceAll(/[^\w.-]/g, '-');

/** Temporary directories of this process, for removal when it is stopped by a signal. */
const ownTemporaries = new Set();

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {string} `$CIRKD_CACHE`, else `$XDG_CACHE_HOME/cirkd`, else `~/.cache/cirkd`; absolute
 */
export function cacheRoot(env) {
  if (env.CIRKD_CACHE) return resolve(env.CIRKD_CACHE);
  if (env.XDG_CACHE_HOME) return resolve(env.XDG_CACHE_HOME, 'cirkd');
  return join(homedir(), '.cache', 'cirkd');
}

/**
 * Creates the cache directory and removes the leftovers of killed set-ups from its tmp/.
 * @param {string} cache
 * @param {string} [command] the command that runs the set-up, for the message
 */
export async function openCache(cache, command = 'npm run setup') {
  try {
    await mkdir(join(cache, 'tmp'), { recursive: true });
    await access(join(cache, 'tmp'), constants.W_OK);
  } catch (error) {
    throw new SetupError(
      `The cache directory ${cache} cannot be written (${systemCode(error)}).`,
      `Choose another directory: CIRKD_CACHE=/path/of/yours ${command}`,
    );
  }
  await sweep(cache);
}

/**
 * Removes the leftovers of killed processes from tmp/.
 * @param {string} cache
 */
export async function sweep(cache) {
  for (const name of await readdir(join(cache, 'tmp')).catch(() => [])) {
    if (await abandoned(join(cache, 'tmp', name), name)) {
      await rm(join(cache, 'tmp', name), { recursive: true, force: true });
    }
  }
}

/**
 * Runs `build` in an empty directory of the cache's tmp/ and removes that directory afterwards, also
 * after an error.
 * @template T
 * @param {string} cache
 * @param {(directory: string) => Promise<T>} build
 * @returns {Promise<T>}
 */
export async function inTemporary(cache, build) {
  const name = `${HOST}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const directory = join(cache, 'tmp', name);
  await mkdir(directory, { recursive: true });
  ownTemporaries.add(directory);
  try {
    return await build(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
    ownTemporaries.delete(directory);
  }
}

/** @returns {string[]} the directories that {@link inTemporary} has not removed yet */
export function openTemporaries() {
  return [...ownTemporaries];
}

/**
 * Renames a finished directory into the cache. If another set-up was first, its entry stays: entries
 * are named by the hash of their contents.
 * @param {string} from
 * @param {string} to
 */
export async function place(from, to) {
  await mkdir(dirname(to), { recursive: true });
  try {
    await rename(from, to);
  } catch (error) {
    if (!['EEXIST', 'ENOTEMPTY'].includes(systemCode(error))) throw error;
  }
  await syncDirectory(dirname(to));
}

/** @param {string} directory */
export async function syncDirectory(directory) {
  const handle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

/**
 * @param {string} path
 * @param {string} name host-pid-random, as inTemporary() makes it
 */
async function abandoned(path, name) {
  const match = /^(.+)-(\d+)-[0-9a-f]{8}$/.exec(name);
  if (match && match[1] === HOST) return !isRunning(Number(match[2]));
  const entry = await stat(path).catch(() => undefined);
  return entry !== undefined && Date.now() - entry.mtimeMs > ABANDONED_AFTER_MS;
}
