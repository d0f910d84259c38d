// `cirkd doctor` before any package is installed: the checks of the set-up, in plain JavaScript.
import { fileURLToPath } from 'node:url';
import { checkSetup } from './checks.mjs';

const MARKS = { ok: 'ok     ', missing: 'MISSING', note: 'note   ' };

/**
 * @param {string[]} argv the arguments after `doctor`; only --json is read, the full doctor reads the rest
 * @returns {Promise<number>} exit code
 */
export async function doctorWithoutPackages(argv) {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  const { checks } = await checkSetup(root);
  return report(checks, argv.includes('--json'));
}

/**
 * Prints the checks.
 * @param {readonly import('./checks.mjs').Check[]} checks
 * @param {boolean} asJson
 * @returns {number} exit code: 0 if nothing required is missing, else 2
 */
export function report(checks, asJson) {
  const ready = checks.every(({ status }) => status !== 'missing');
  process.stdout.write(asJson ? `${JSON.stringify({ ready, checks }, null, 2)}\n` : '');
  if (!asJson) print(checks, ready);
  return ready ? 0 : 2;
}

/**
 * @param {readonly import('./checks.mjs').Check[]} checks
 * @param {boolean} ready
 */
function print(checks, ready) {
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, detail, mend } of checks) {
    process.stdout.write(`${MARKS[status]}  ${name.padEnd(width)}  ${detail}\n`);
    if (mend !== undefined) {
      process.stdout.write(`${' '.repeat(width + 11)}to fix it: ${mend}\n`);
    }
  }
  process.stdout.write(ready ? '\nEverything needed is installed.\n' : '\nSomething is missing.\n');
}
