/** What the tiers print of their times. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keepTierTime, readTimes, timeSummary } from '../../services/setup/tests/times.mjs';

const MODULE = fileURLToPath(new URL('../../services/setup/tests/times.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-times-'));
after(() => rmSync(folder, { recursive: true }));

const TESTS = `
import { suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
test('quick', () => {});
suite('outer', () => {
  test('slow', () => wait(120));
  test('broken', () => { throw new Error('on purpose'); });
});
`;

test("the runner's tests are reported with their suites, failed ones included", () => {
  const [file, times] = [join(folder, 'made.test.mjs'), join(folder, 'times.jsonl')];
  writeFileSync(file, TESTS);
  // Of this very test the runner says that it is inside of one, and would run nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = [`--test-reporter=${MODULE}`, `--test-reporter-destination=${times}`];
  const { status } = spawnSync(process.execPath, ['--test', ...options, file], { env });
  assert.equal(status, 1);
  const seen = readTimes(times);
  assert.deepEqual(seen.map((time) => time.test).sort(), [
    'outer > broken',
    'outer > slow',
    'quick',
  ]);
  const slow = seen.find((time) => time.test === 'outer > slow');
  assert.ok(slow!.seconds >= 0.1 && slow!.seconds < 60, `${slow!.seconds} s`);
});

test('tiers are listed in order, and the ten slowest tests by time', () => {
  const tests = Array.from({ length: 12 }, (_, index) => ({ test: `t${index}`, seconds: index }));
  const text = timeSummary([
    { tier: 'unit', seconds: 61.04, tests },
    { tier: 'golden', seconds: 5, tests: [{ test: 'slowest of all', seconds: 100 }] },
  ]);
  const lines = text.split('\n');
  assert.deepEqual(lines.slice(1, 3), ['    61.0  unit', '     5.0  golden']);
  assert.equal(lines[3], '# The 10 slowest tests, in seconds');
  assert.deepEqual(
    [lines[4], lines[5], lines[13]],
    ['   100.0  slowest of all', '    11.0  t11', '     3.0  t3'],
  );
});

test('a CI that runs the tiers one by one gets one summary', () => {
  const kept = join(folder, 'kept.jsonl');
  keepTierTime(kept, { tier: 'unit', seconds: 2, tests: [{ test: 'a', seconds: 1 }] });
  keepTierTime(kept, { tier: 'deploy', seconds: 3, tests: [] });
  const { stdout } = spawnSync(process.execPath, [MODULE, kept], { encoding: 'utf8' });
  assert.equal(
    stdout,
    timeSummary([
      { tier: 'unit', seconds: 2, tests: [{ test: 'a', seconds: 1 }] },
      { tier: 'deploy', seconds: 3, tests: [] },
    ]),
  );
  assert.equal(readFileSync(kept, 'utf8').trim().split('\n').length, 2);
  assert.deepEqual(readTimes(join(folder, 'never written')), []);
});
