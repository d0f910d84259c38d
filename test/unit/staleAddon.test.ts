/** An addon that was built from other sources is refused by name, in place of a segmentation fault. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { describeFault } from '../../services/program/exitCode.js';
import { assertCurrent, StaleAddonError } from '../../src/tensor/binding.js';
import { SOURCE_STAMP, sourceDigest } from '../../src/tensor/native/sourceDigest.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NATIVE = join(ROOT, 'src/tensor/native');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cirkd-addon-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function sources(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

test('names, contents and their borders count; other files do not', () => {
  const digest = (files: Readonly<Record<string, string>>, name: string) =>
    sourceDigest(sources(name, files));
  const one = digest({ 'a.cc': 'x', 'b.h': 'y' }, 'one');
  assert.equal(digest({ 'b.h': 'y', 'a.cc': 'x', 'c.mjs': 'z' }, 'same'), one);
  assert.notEqual(digest({ 'a.cc': 'xb', 'b.h': 'y' }, 'content'), one);
  assert.notEqual(digest({ 'a.cc': 'x', 'c.h': 'y' }, 'name'), one);
  assert.notEqual(digest({ 'a.cc': 'x' }, 'fewer'), one);
  assert.equal(digest({ 'c.mjs': 'z' }, 'none'), null);
  assert.equal(sourceDigest(join(folder, 'absent')), null);
});

test('the stamp decides: missing, other, equal; without sources nothing is compared', () => {
  const addon = sources('addon', {});
  const native = sources('native', { 'a.cc': 'x' });
  const absent = join(folder, 'absent');
  const refused = (why: RegExp) => (error: unknown) => {
    assert.ok(error instanceof StaleAddonError, String(error));
    assert.match(error.message, /run `npm run setup`/);
    assert.match(error.message, why);
    assert.equal(describeFault(error).exitCode, 2);
    return true;
  };
  assert.throws(() => assertCurrent(addon, [native]), refused(/an earlier set-up built it/));
  writeFileSync(join(addon, SOURCE_STAMP), `${'0'.repeat(64)}\n`);
  assert.throws(() => assertCurrent(addon, [absent, native]), refused(/built from other sources/));
  writeFileSync(join(addon, SOURCE_STAMP), `${sourceDigest(native)}\n`);
  assertCurrent(addon, [absent, native]);
  writeFileSync(join(native, 'a.cc'), 'changed');
  assert.throws(() => assertCurrent(addon, [native]), refused(/built from other sources/));
  assertCurrent(addon, [absent]);
});

test('a process with changed C++ beside this addon ends with the error, not with a signal', () => {
  for (const name of ['src/tensor', 'src/contract']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  for (const name of ['package.json', 'tsconfig.json'])
    cpSync(join(ROOT, name), join(folder, name));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const start = () =>
    spawnSync(
      process.execPath,
      [
        '--import',
        'tsx',
        '--eval',
        "import('./src/tensor/index.ts').then((t) => console.log(t.engineInfo().tensorflow))",
      ],
      { cwd: folder, encoding: 'utf8' },
    );
  const fits = start();
  assert.equal(fits.status, 0, fits.stderr);
  assert.match(fits.stdout, /^2\./);
  appendFileSync(join(folder, 'src/tensor/native/convolution.cc'), '// another kernel\n');
  const stale = start();
  assert.equal(stale.signal, null);
  assert.equal(stale.status, 1);
  assert.match(
    stale.stderr,
    /StaleAddonError: the native addon in .* doesn't fit .*run `npm run setup`/,
  );
  assert.equal(sourceDigest(NATIVE)?.length, 64);
});
