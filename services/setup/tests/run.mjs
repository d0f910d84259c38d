// Runs the tests by tier:  node services/setup/tests/run.mjs unit golden integration
// Each tier is one run of Node's own test runner. The first tier that fails ends the program with its
// exit code, so the runner's last summary is the one that counts. The times of the tiers and of the
// slowest tests follow; $CIRKD_TEST_TIMES names a file that keeps them over several calls (.ci/run).
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../engineEnvironment.mjs';
import { batchFiles } from './batches.mjs';
import { keepTierTime, readTimes, timeSummary } from './times.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const REPORTER = new URL('./times.mjs', import.meta.url).href;

/**
 * Concurrent files, for two cores. Unit tests also wait for times to pass: a third process uses what the others leave.
 * Integration and system tests start whole services: one file at a time.
 */
const CONCURRENCY = {
  ...{ unit: 3, golden: 1, integration: 1, system: 1 },
  ...{ interop: 1, deploy: 1, soak: 1 },
};
/**
 * Limit per file or batch, as Node.js 20 counts a whole file as a test. Waits in tests time out sooner: see
 * test/support/eventually.ts. The first tests of interop and deploy install their dependencies.
 */
const TIMEOUT_MS = {
  ...{ unit: 300_000, golden: 300_000, integration: 600_000, system: 600_000 },
  ...{ interop: 1_800_000, deploy: 1_800_000, soak: 7_200_000 },
};

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
 * @param {keyof typeof CONCURRENCY} tier
 * @param {string[]} files
 * @param {string} times file that receives the tests' times
 * @returns {Promise<number>} exit code
 */
function runTier(tier, files, times) {
  const concurrency = CONCURRENCY[tier];
  process.stdout.write(`\n# ${tier}: ${files.length} processes, ${concurrency} at a time\n`);
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test'],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...[`--test-reporter=${REPORTER}`, `--test-reporter-destination=${times}`],
      ...[`--test-concurrency=${concurrency}`, `--test-timeout=${TIMEOUT_MS[tier]}`],
      ...files,
    ],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: testEnvironment(),
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

/** The environment without proxies: tests use only 127.0.0.1, and grpc-js would use a proxy even there. */
function testEnvironment() {
  const env = { ...process.env };
  for (const name of Object.keys(env))
    if (/^(grpc|https?|all)_proxy$/i.test(name)) delete env[name];
  return { ...env, ...engineEnvironment(env) };
}

/**
 * @param {string} name
 * @returns {name is keyof typeof CONCURRENCY}
 */
function isTier(name) {
  return Object.hasOwn(CONCURRENCY, name);
}

const asked = process.argv.slice(2);
const tiers = asked.filter(isTier);
const unknown = asked.filter((name) => !isTier(name));
if (tiers.length === 0 || unknown.length > 0) {
  const names = Object.keys(CONCURRENCY).join(', ');
  process.stderr.write(`Which tests? Unknown tier: '${unknown.join(' ')}'. Tiers: ${names}.\n`);
  process.exit(2);
}
/** @type {import('./times.mjs').TierTime[]} */
const tierTimes = [];
for (const tier of tiers) {
  const files = filesOf(tier);
  if (files.length === 0) {
    process.stderr.write(`test/${tier} has no *.test.ts file: nothing was tested.\n`);
    process.exit(2);
  }
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-tests-'));
  const times = join(folder, 'times.jsonl');
  const started = performance.now();
  const code = await runTier(
    tier,
    tier === 'unit' ? batchFiles(root, files, folder) : files,
    times,
  );
  const seconds = (performance.now() - started) / 1000;
  tierTimes.push({ tier, seconds, tests: readTimes(times) });
  rmSync(folder, { recursive: true });
  if (code !== 0) {
    process.stderr.write(`\n# ${tier} failed\n`);
    process.exitCode = code;
    break;
  }
}
process.stdout.write(`\n${timeSummary(tierTimes)}`);
const kept = process.env.CIRKD_TEST_TIMES;
if (kept) for (const time of tierTimes) keepTierTime(kept, time);
