// Installs what is missing: npm packages, libtensorflow, the addon. Runs before anything is
// installed, so it is plain Node.js without dependencies.
// A folder keeps the libtensorflow that it was set up with; the default is the CPU build.
// Silent and done within a second if nothing is missing.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { addonIsReady, ensureAddon, linkedFlavour } from './addon.mjs';
import { cacheRoot, openCache, openTemporaries } from './cache.mjs';
import { ensureBuildPackages, missingBuildPackages } from './buildPackages.mjs';
import { isClone, setupCommand } from './layout.mjs';
import { withLock } from './lock.mjs';
import { installPackages, packagesMatch } from './npmPackages.mjs';
import { SetupError, systemCode } from './setupError.mjs';
import { killChildren } from './subprocess.mjs';
import { ensureTensorflow, flavourOf, isComplete, tensorflowDirectory } from './tensorflow.mjs';

/** @param {string} text */
const say = (text) => process.stderr.write(`[set-up] ${text}\n`);

export const SETUP_USAGE = `cirkd setup [--cpu | --cuda]

Installs what is missing: in a clone the npm packages, then a pinned libtensorflow and the addon that is
compiled against it, from the cache ($CIRKD_CACHE, else ~/.cache/cirkd) if it has them. The same as npm run
setup in a clone. Requires Linux x64, Python 3 with pip and a C++17 compiler.

  --cpu    TensorFlow for the CPU; the default
  --cuda   TensorFlow's CUDA build; later set-ups keep it

Exit codes: 0 done or nothing to do, 2 something could not be done, 130 and 143 stopped by a signal.`;

/**
 * @param {string} root the clone or the installed package
 * @param {string[]} argv the arguments after `setup`
 * @returns {Promise<number>} exit code
 */
export async function setUp(root, argv) {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${SETUP_USAGE}\n`);
    return 0;
  }
  listenForSignals();
  try {
    await installMissing(root, environmentOf(argv));
    return 0;
  } catch (error) {
    const { message, mend } = inWords(error);
    process.stderr.write(`\n[set-up] ${message}\n[set-up] To fix it: ${mend}\n`);
    return 2;
  }
}

/** @param {string[]} argv */
function environmentOf(argv) {
  const env = { ...process.env };
  for (const word of argv) {
    if (word === '--cpu' || word === '--cuda') env.CIRKD_TENSORFLOW = word.slice(2);
    else throw new SetupError(`'${word}' given, wanted --cpu or --cuda.`, 'Remove it.');
  }
  return env;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
async function installMissing(root, env) {
  assertPlatform();
  const [cache, flavour] = [cacheRoot(env), flavourOf(env, linkedFlavour(root))];
  const tensorflow = tensorflowDirectory(cache, flavour);
  if (await isReady(root, cache, tensorflow)) return;
  const started = Date.now();
  say(`preparing ${root}; cache: ${cache}`);
  await openCache(cache, setupCommand(root));
  const place = createHash('sha256').update(root).digest('hex').slice(0, 16);
  await withLock(
    join(cache, 'locks', `clone-${place}.lock`),
    async () => {
      // Concurrently: the packages wait for npm's registry, the wheel for pip's.
      const results = await Promise.allSettled([
        bringPackages(root, cache),
        ensureTensorflow(cache, flavour, say),
      ]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      if (!addonIsReady(root, tensorflow, cache)) await ensureAddon(root, tensorflow, cache, say);
    },
    (holder) => say(`waiting for ${holder}, which is preparing this folder`),
  );
  say(`ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * @param {string} root
 * @param {string} cache
 */
async function bringPackages(root, cache) {
  // node_modules comes first, as it is replaced as a whole.
  if (isClone(root) && !packagesMatch(root)) await installPackages(root, cache, say);
  await ensureBuildPackages(root, cache, say);
}

/**
 * @param {string} root
 * @param {string} cache
 * @param {string} tensorflow
 */
async function isReady(root, cache, tensorflow) {
  const hasPackages =
    (!isClone(root) || packagesMatch(root)) && missingBuildPackages(root).length === 0;
  return hasPackages && (await isComplete(tensorflow)) && addonIsReady(root, tensorflow, cache);
}

function assertPlatform() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 11)) {
    throw new SetupError(
      `Node.js ${process.versions.node} is too old.`,
      'Install Node.js 20.11 or newer.',
    );
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupError(
      `No libtensorflow is pinned for ${process.platform} ${process.arch}.`,
      'Run it on Linux x64 (a container does), or pin a wheel in services/setup/pins.mjs.',
    );
  }
}

function listenForSignals() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      killChildren();
      const left = openTemporaries().filter((directory) => !isRemoved(directory));
      const end =
        left.length > 0 ? `the next set-up removes ${left.join(', ')}` : 'nothing was left';
      say(`stopped by ${signal}; ${end}`);
      process.exit(128 + constants.signals[signal]);
    });
  }
}

/** @param {string} directory into which a killed child may still be writing */
function isRemoved(directory) {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    return true;
  } catch {
    return false;
  }
}

/** @param {unknown} error */
function inWords(error) {
  if (error instanceof SetupError) return error;
  const code = systemCode(error);
  if (!/^E[A-Z0-9]+$/.test(code)) throw error; // a bug of the set-up itself: keep the stack trace
  return new SetupError(
    error instanceof Error ? error.message : code,
    code === 'ENOSPC'
      ? 'Free about 3 GB of disk, or name another place for the cache: CIRKD_CACHE.'
      : 'See that this folder and the cache (CIRKD_CACHE) can be written, then run it again.',
  );
}
