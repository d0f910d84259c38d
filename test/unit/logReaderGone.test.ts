/** A service continues after the reader of its log has ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const LOG_MODULE = JSON.stringify(new URL('../../src/telemetry/log.ts', import.meta.url).href);

const CHILD = `
import { setTimeout } from 'node:timers/promises';
const { createLogger } = await import(${LOG_MODULE});
const log = createLogger({ service: 'teacher', level: 'info', format: 'json', sink: process.stderr });
log.info('first');
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let i = 0; i < 5; i++) {
  log.info('nobody reads this');
  await setTimeout(10);
}
process.stdout.write('still here');
process.exit(0);
`;

test('a closed log pipe loses lines, but does not end the process', async (t) => {
  const args = ['--import', 'tsx', '--input-type=module', '-e', CHILD];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  const closed = once(child, 'close');
  const [first] = await once(child.stderr, 'data');
  assert.match(String(first), /"msg":"first"/);
  child.stderr.destroy();
  await once(child.stderr, 'close');
  child.stdin.write('go\n');
  assert.deepEqual([...(await closed)], [0, null]);
  assert.equal(stdout, 'still here');
});
