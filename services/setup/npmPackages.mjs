// Installs the npm packages of package-lock.json without install scripts. The installed tree is cached
// and copied into the clone, which takes 1 s; `npm ci` with a warm cache takes 14 s.
import { createHash } from 'node:crypto';
import { constants, existsSync, readFileSync } from 'node:fs';
import { copyFile, cp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { inTemporary, place, sweep } from './cache.mjs';
import { withLock } from './lock.mjs';
import { runNpm } from './npmProgram.mjs';
import { removeOtherPlatforms } from './platformFiles.mjs';
import { runProgram } from './subprocess.mjs';

const TREES_KEPT = 3;
/** Copying a tree takes seconds, or minutes on a slow disk. */
const IN_USE_MS = 3600 * 1000;
const FICLONE = constants.COPYFILE_FICLONE;

/**
 * @param {string} root the clone
 * @returns {boolean} true if node_modules matches package-lock.json for this platform
 */
export function packagesMatch(root) {
  return missingPackages(root).length === 0;
}

/**
 * Packages of package-lock.json that node_modules lacks or has in another version.
 * @param {string} root
 * @returns {string[]} paths such as `node_modules/zod`
 */
export function missingPackages(root) {
  const wanted = readLock(join(root, 'package-lock.json'));
  const got = readLock(join(root, 'node_modules', '.package-lock.json'));
  return Object.keys(wanted).filter((path) => {
    const entry = wanted[path];
    if (path === '' || !entry || !fitsPlatform(entry)) return false;
    if (entry.optional && got[path] === undefined && !entry.os) return false;
    const same = got[path]?.version === entry.version && got[path]?.integrity === entry.integrity;
    return !(same && existsSync(join(root, path, 'package.json')));
  });
}

/**
 * Makes node_modules match package-lock.json. The old node_modules is replaced by one rename.
 * @param {string} root
 * @param {string} cache
 * @param {(text: string) => void} say
 */
export async function installPackages(root, cache, say) {
  const key = treeKey(root);
  const tree = join(cache, 'node_modules', key);
  let isBuilt = false;
  await withLock(
    lockOf(cache, key),
    async () => {
      isBuilt = !existsSync(tree);
      if (isBuilt) await buildTree(root, cache, tree, say);
      await markUsed(tree); // under the lock, so that no other set-up removes it
    },
    (holder) => say(`waiting for ${holder}, which is installing the npm packages`),
  );
  if (isBuilt) await forgetOldTrees(cache);
  await copyTree(tree, root, say);
}

/**
 * @param {string} root
 * @returns {string} the tree's name, from the lock file, Node.js major version and platform
 */
function treeKey(root) {
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  const major = process.versions.node.split('.')[0];
  return `${lock.digest('hex').slice(0, 16)}-node${major}-${process.platform}-${process.arch}`;
}

/**
 * @param {string} root
 * @param {string} cache
 * @param {string} tree
 * @param {(text: string) => void} say
 */
async function buildTree(root, cache, tree, say) {
  await inTemporary(cache, async (scratch) => {
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      if (existsSync(join(root, name))) await copyFile(join(root, name), join(scratch, name));
    }
    say('npm packages: installing with install scripts off');
    await runNpm(
      NPM_CI,
      scratch,
      'Check that this machine can reach its npm registry (npm ping) and that package-lock.json is ' +
        "package.json's (npm install --package-lock-only), then run the set-up again.",
    );
    await removeOtherPlatforms(join(scratch, 'node_modules'));
    await runProgram('sync', ['-f', scratch]); // 12,000 files: one flush of the file system
    await place(join(scratch, 'node_modules'), tree);
  });
}

const NPM_CI = ['ci', '--ignore-scripts', '--include=dev', '--include=optional'].concat(
  '--no-audit',
  '--no-fund',
  '--prefer-offline',
);

/**
 * Copies the tree, with copy-on-write if the file system has it. Not by hard links: an edit in place
 * under node_modules would change the files of every other clone.
 * @param {string} tree
 * @param {string} root
 * @param {(text: string) => void} say
 */
async function copyTree(tree, root, say) {
  const started = Date.now();
  const here = join(root, '.cirkd'); // on the clone's file system, so that a rename is possible
  await sweep(here);
  await inTemporary(here, async (scratch) => {
    const [fresh, old] = [join(scratch, 'new'), join(scratch, 'old')];
    const copied = await runProgram('cp', ['-R', '-P', '-p', '--reflink=auto', tree, fresh]);
    if (copied.code !== 0) {
      await rm(fresh, { recursive: true, force: true });
      await cp(tree, fresh, { recursive: true, verbatimSymlinks: true, mode: FICLONE });
    }
    if (existsSync(join(root, 'node_modules'))) await rename(join(root, 'node_modules'), old);
    await rename(fresh, join(root, 'node_modules'));
  });
  await rm(here, { recursive: true, force: true });
  await markUsed(tree);
  say(`npm packages: copied from the cache in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * Removes the trees of npm packages that weren't used lately. Recent ones stay, as another clone may be
 * copying them.
 * @param {string} cache
 */
export async function forgetOldTrees(cache) {
  const directory = join(cache, 'node_modules');
  const names = await readdir(directory);
  const entries = await Promise.all(
    names.map(async (name) => ({ name, usedMs: await lastUse(join(directory, name)) })),
  );
  entries.sort((a, b) => b.usedMs - a.usedMs);
  for (const { name } of entries.slice(TREES_KEPT)) {
    await withLock(lockOf(cache, name), async () => {
      if (Date.now() - (await lastUse(join(directory, name))) < IN_USE_MS) return;
      await rm(join(directory, name), { recursive: true, force: true });
    });
  }
}

/**
 * @param {string} tree
 * @returns {Promise<number>} milliseconds since 1970; 0 if another set-up has removed it
 */
async function lastUse(tree) {
  return stat(tree).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

/** @param {string} tree */
async function markUsed(tree) {
  const now = new Date();
  await utimes(tree, now, now).catch(() => undefined);
}

/**
 * @param {string} cache
 * @param {string} key
 */
function lockOf(cache, key) {
  return join(cache, 'locks', `${key}.lock`);
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, os?: string[],
 *   cpu?: string[], libc?: string[] }} LockEntry
 */

/**
 * @param {string} path
 * @returns {Record<string, LockEntry>}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}

/** @param {LockEntry} entry */
function fitsPlatform(entry) {
  // A build for musl or glibc: not worth the cost of finding out which this machine has.
  if (entry.libc) return false;
  return fits(entry.os, process.platform) && fits(entry.cpu, process.arch);
}

/**
 * @param {string[] | undefined} allowed
 * @param {string} value
 */
function fits(allowed, value) {
  return allowed === undefined || allowed.includes(value);
}
