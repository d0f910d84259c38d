// Runs the tests by tier:  node services/setup/test.mjs unit golden integration
// Each tier is one run of Node's own test runner; the first that fails ends it with its exit code,
// so that the last summary printed is the one that counts.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Files at once. Integration tests start whole services: one file at a time on two cores. */
const CONCURRENCY = { unit: 2, golden: 1, integration: 1, interop: 1 };
const TIMEOUT_MS = 900_000;

/**
 * @param {string} tier
 * @returns {string[]} paths of the tier's *.test.ts files, sorted
 */
function filesOf(tier) {
  const directory = join(root, 'test', tier);
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join('test', tier, name));
}

/**
 * @param {string} tier
 * @param {string[]} files
 * @returns {Promise<number>} exit code
 */
function runTier(tier, files) {
  const concurrency = Object.entries(CONCURRENCY).find(([name]) => name === tier)?.[1];
  process.stdout.write(`\n# ${tier}: ${files.length} files, ${concurrency} at a time\n`);
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', '--test-reporter=spec'],
      ...[`--test-concurrency=${concurrency}`, `--test-timeout=${TIMEOUT_MS}`],
      ...files,
    ],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2' },
    },
  );
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

const tiers = process.argv.slice(2);
const unknown = tiers.filter((tier) => !(tier in CONCURRENCY));
if (tiers.length === 0 || unknown.length > 0) {
  const names = Object.keys(CONCURRENCY).join(', ');
  process.stderr.write(`Which tests? Unknown tier: '${unknown.join(' ')}'. Tiers: ${names}.\n`);
  process.exit(2);
}
for (const tier of tiers) {
  const files = filesOf(tier);
  if (files.length === 0) {
    process.stderr.write(`test/${tier} has no *.test.ts file: nothing was tested.\n`);
    process.exit(2);
  }
  const code = await runTier(tier, files);
  if (code !== 0) {
    process.stderr.write(`\n# ${tier} failed\n`);
    process.exit(code);
  }
}
