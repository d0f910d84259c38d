// The tests' times: a reporter for Node's test runner, which writes a line per finished test, and the
// final summary with the time of each tier and its slowest tests.
//
//     node services/setup/tests/times.mjs FILE      prints the times that a CI's runs have written there
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const SLOWEST = 10;

/**
 * @typedef {{ name: string, nesting: number, details?: { duration_ms: number, type?: string } }} TestData
 * @typedef {{ test: string, seconds: number }} TestTime
 * @typedef {{ tier: string, seconds: number, tests: TestTime[] }} TierTime
 */

/**
 * A reporter: a JSON line { test, seconds } per finished test, passed or failed. `test` begins with the
 * names of the enclosing suites.
 * @param {AsyncIterable<{ type: string, data: TestData }>} events
 */
export default async function* reportTimes(events) {
  /** @type {string[]} The names of the last started test's suites and its own. */
  const names = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names[data.nesting] = data.name;
    }
    const { duration_ms: ms, type: kind } = data.details ?? {};
    if ((type !== 'test:pass' && type !== 'test:fail') || ms === undefined || kind === 'suite') {
      continue;
    }
    const test = [...names.slice(0, data.nesting), data.name].join(' > ');
    yield `${JSON.stringify({ test, seconds: ms / 1000 })}\n`;
  }
}

/**
 * @param {string} file the reporter's output; empty if the runner was killed
 * @returns {TestTime[]}
 */
export function readTimes(file) {
  return existsSync(file) ? linesOf(file) : [];
}

/**
 * Appends a line to `file` for a CI that runs the tiers one by one.
 * @param {string} file
 * @param {TierTime} time
 */
export function keepTierTime(file, { tier, seconds, tests }) {
  const kept = { tier, seconds, tests: slowest(tests) };
  appendFileSync(file, `${JSON.stringify(kept)}\n`);
}

/**
 * @param {readonly TierTime[]} tiers
 * @returns {string} the summary, each line ending with a newline
 */
export function timeSummary(tiers) {
  const lines = tiers.map(({ tier, seconds }) => `${rightAligned(seconds)}  ${tier}`);
  const tests = slowest(tiers.flatMap((tier) => tier.tests));
  return [
    '# Time of each tier, in seconds',
    ...lines,
    `# The ${tests.length} slowest tests, in seconds`,
    ...tests.map(({ test, seconds }) => `${rightAligned(seconds)}  ${test}`),
    '',
  ].join('\n');
}

/** @param {readonly TestTime[]} tests */
function slowest(tests) {
  return [...tests].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
}

/** @param {number} seconds */
function rightAligned(seconds) {
  return seconds.toFixed(1).padStart(8);
}

/** @param {string} file */
function linesOf(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

const [, program, file] = process.argv;
if (program && import.meta.url === pathToFileURL(program).href) {
  process.stdout.write(timeSummary(file && existsSync(file) ? linesOf(file) : []));
}
