/** Variables of the environment that choose among kernels. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kernelSettings } from '../../services/program/kernelSettings.js';

const CIRKD = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));

test('defaults are not listed, whether they are named or not', () => {
  assert.deepEqual(kernelSettings({}), []);
  assert.deepEqual(kernelSettings({ CIRKD_WINOGRAD: 'on', CIRKD_VECTOR_LEVEL: 'wide' }), []);
  assert.deepEqual(kernelSettings({ CIRKD_WINOGRAD: '4' }), ['CIRKD_WINOGRAD=4']);
});

test('an unknown value ends a command with exit code 2 and the values that there are', () => {
  const { status, stderr } = spawnSync(process.execPath, [CIRKD, 'check-data'], {
    env: { ...process.env, CIRKD_WINOGRAD: 'false' },
    encoding: 'utf8',
  });
  assert.match(stderr, /CIRKD_WINOGRAD: got "false", wanted on, off, 2, 4, or no such variable/);
  assert.equal(status, 2);
});
