// Brings in what a fresh clone lacks: npm packages, libtensorflow, the addon. Runs before anything
// is installed, so plain Node.js and no dependency.
//   node services/setup/main.mjs [--cuda | --cpu]
// A clone keeps the libtensorflow that it was set up with; without a word it is the CPU's.
// Quiet and under a second where all is there. Exit code 2 where something could not be done.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonIsReady, ensureAddon, linkedFlavour } from './addon.mjs';
import { cacheRoot, openCache, openTemporaries } from './cache.mjs';
import { withLock } from './lock.mjs';
import { installPackages, packagesMatch } from './npmPackages.mjs';
import { SetupError, systemCode } from './setupError.mjs';
import { killChildren } from './subprocess.mjs';
import { ensureTensorflow, flavourOf, isComplete, tensorflowDirectory } from './tensorflow.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** @param {string} text */
const say = (text) => process.stderr.write(`[set-up] ${text}\n`);

async function main() {
  const env = { ...process.env };
  for (const flavour of ['cpu', 'cuda']) {
    if (process.argv.includes(`--${flavour}`)) env.CIRKD_TENSORFLOW = flavour;
  }
  assertPlatform();
  const [cache, flavour] = [cacheRoot(env), flavourOf(env, linkedFlavour(root))];
  const tensorflow = tensorflowDirectory(cache, flavour);
  if (await isReady(cache, tensorflow)) return;
  const started = Date.now();
  say(`preparing ${root}; cache: ${cache}`);
  await openCache(cache);
  const clone = createHash('sha256').update(root).digest('hex').slice(0, 16);
  await withLock(
    join(cache, 'locks', `clone-${clone}.lock`),
    async () => {
      // The packages and the wheel at once: one waits for npm's registry, the other for pip's.
      const results = await Promise.allSettled([
        packagesMatch(root) ? undefined : installPackages(root, cache, say),
        ensureTensorflow(cache, flavour, say),
      ]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      if (!addonIsReady(root, tensorflow, cache)) await ensureAddon(root, tensorflow, cache, say);
    },
    (holder) => say(`waiting for ${holder}, which is preparing this clone`),
  );
  say(`ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * @param {string} cache
 * @param {string} tensorflow
 */
async function isReady(cache, tensorflow) {
  return (
    packagesMatch(root) && (await isComplete(tensorflow)) && addonIsReady(root, tensorflow, cache)
  );
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

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    killChildren();
    const left = openTemporaries().filter((directory) => !isRemoved(directory));
    const end = left.length > 0 ? `the next set-up removes ${left.join(', ')}` : 'nothing was left';
    say(`stopped by ${signal}; ${end}`);
    process.exit(128 + constants.signals[signal]);
  });
}

/** @param {string} directory in which a child that was killed may have a last write under way */
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
  if (!/^E[A-Z0-9]+$/.test(code)) throw error; // a mistake of the set-up itself: show where
  return new SetupError(
    error instanceof Error ? error.message : code,
    code === 'ENOSPC'
      ? 'Free about 3 GB of disk, or name another place for the cache: CIRKD_CACHE.'
      : 'See that the clone and the cache (CIRKD_CACHE) can be written, then run it again.',
  );
}

main().catch((error) => {
  const { message, mend } = inWords(error);
  process.stderr.write(`\n[set-up] ${message}\n[set-up] To mend it: ${mend}\n`);
  process.exitCode = 2;
});
