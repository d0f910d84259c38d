// The two npm packages that the addon is built from. npm doesn't install them (tfjs-node is an optional
// peer in package.json): it would bring all of tfjs along (280 MB), and run its install script, which
// downloads another libtensorflow.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inTemporary, place } from './cache.mjs';
import { modulesFolder } from './layout.mjs';
import { withLock } from './lock.mjs';
import { runNpm } from './npmProgram.mjs';
import { BUILD_PACKAGES } from './pins.mjs';
import { SetupError } from './setupError.mjs';
import { runProgram, tail } from './subprocess.mjs';

/** @typedef {import('./pins.mjs').NpmPin} NpmPin */

/**
 * @param {string} root the clone or the installed package
 * @param {readonly NpmPin[]} [pins]
 * @returns {string[]} names of the packages that are missing or not in the pinned version
 */
export function missingBuildPackages(root, pins = BUILD_PACKAGES) {
  return pins.filter((pin) => versionOf(folderOf(root, pin)) !== pin.version).map((p) => p.name);
}

/**
 * Brings the packages into the cache unless they are there, and copies them to where the addon is
 * built. Their install scripts never run: archives are only unpacked.
 * @param {string} root the clone or the installed package
 * @param {string} cache
 * @param {(text: string) => void} say
 * @param {readonly NpmPin[]} [pins]
 * @throws {SetupError} no npm, no registry, or the wrong hash
 */
export async function ensureBuildPackages(root, cache, say, pins = BUILD_PACKAGES) {
  const missing = missingBuildPackages(root, pins);
  for (const pin of pins.filter(({ name }) => missing.includes(name))) {
    const entry = cacheEntry(cache, pin);
    await withLock(
      `${join(cache, 'locks', entry.slice(cache.length + 1))}.lock`,
      async () => {
        if (!existsSync(entry)) await bring(pin, cache, entry, say);
      },
      (holder) => say(`waiting for ${holder}, which is fetching ${pin.name}`),
    );
    await copyInto(entry, folderOf(root, pin));
  }
}

/**
 * @param {string} cache
 * @param {NpmPin} pin
 * @returns {string} a folder named by the hash of the archive
 */
function cacheEntry(cache, { name, version, integrity }) {
  const hash = createHash('sha256').update(integrity).digest('hex').slice(0, 12);
  return join(cache, `npm-${name.replace(/^@.*\//, '')}-${version}-${hash}`);
}

/**
 * @param {NpmPin} pin
 * @param {string} cache
 * @param {string} entry
 * @param {(text: string) => void} say
 */
async function bring(pin, cache, entry, say) {
  const what = `${pin.name}@${pin.version}`;
  say(`npm packages: downloading ${what}`);
  await inTemporary(cache, async (scratch) => {
    await runNpm(
      ['pack', what, '--ignore-scripts', '--prefer-offline'],
      scratch,
      'Check that this machine can reach its npm registry (npm ping), then run the set-up again.',
    );
    const archive = readdirSync(scratch).find((name) => name.endsWith('.tgz'));
    if (!archive)
      throw new SetupError(`npm produced no archive of ${what}.`, 'Run the set-up again.');
    assertIntegrity(join(scratch, archive), pin.integrity, what);
    await unpack(join(scratch, archive), scratch, what);
    await place(join(scratch, 'package'), entry);
  });
}

/**
 * @param {string} path
 * @param {string} wanted "sha512-" and base64
 * @param {string} what
 */
function assertIntegrity(path, wanted, what) {
  const got = `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
  if (got === wanted) return;
  throw new SetupError(
    `${what} has integrity ${got}, wanted ${wanted}; it was not unpacked.`,
    'Run the set-up again. If the hash stays the same, the registry serves another file.',
  );
}

/**
 * Unpacks with Python, which the set-up needs anyway. Safe, as the archive's hash has been checked.
 * @param {string} archive
 * @param {string} directory
 * @param {string} what
 */
async function unpack(archive, directory, what) {
  const args = ['-I', '-m', 'tarfile', '-e', archive, directory];
  const { code, output, missing } = await runProgram('python3', args);
  if (code === 0) return;
  throw new SetupError(
    `The archive of ${what} could not be unpacked:\n${tail(missing ? 'python3 was not found' : output, 4)}`,
    'Check that Python 3 is installed and that the cache has free disk space (CIRKD_CACHE moves it).',
  );
}

/**
 * @param {string} entry
 * @param {string} target
 */
async function copyInto(entry, target) {
  await mkdir(dirname(target), { recursive: true });
  const fresh = `${target}.${process.pid}`;
  await cp(entry, fresh, { recursive: true });
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
}

/**
 * @param {string} root
 * @param {NpmPin} pin
 */
function folderOf(root, { name }) {
  return join(modulesFolder(root), ...name.split('/'));
}

/** @param {string} folder */
function versionOf(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}
