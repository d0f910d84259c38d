/** What the addon is built of, without a registry: a program in npm's place, real archives. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { ensureBuildPackages, missingBuildPackages } from '../../services/setup/buildPackages.mjs';
import { openCache } from '../../services/setup/cache.mjs';
import { modulesFolder } from '../../services/setup/layout.mjs';
import { SetupError } from '../../services/setup/setupError.mjs';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-build-'));
const saved = { ...process.env };
let [root, cache, count] = ['', '', 0];
after(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(async () => {
  for (const key of Object.keys(process.env)) if (!(key in saved)) delete process.env[key];
  Object.assign(process.env, saved);
  delete process.env.npm_execpath;
  count++;
  [root, cache] = [join(folder, `root-${count}`), join(folder, `cache-${count}`)];
  mkdirSync(root);
  await openCache(cache);
});

/** An archive as the registry serves it, of a package whose install script would leave a trace. */
function makeArchive(): {
  file: string;
  pin: { name: string; version: string; integrity: string };
} {
  const home = mkdtempSync(join(folder, 'archive-'));
  const file = join(home, 'made-1.2.3.tgz');
  mkdirSync(join(home, 'package', 'binding'), { recursive: true });
  const scripts = { install: `touch ${join(home, 'script-ran')}` };
  const manifest = { name: '@scope/made', version: '1.2.3', scripts };
  writeFileSync(join(home, 'package', 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(home, 'package', 'binding', 'made.cc'), '// C++');
  execFileSync('python3', ['-m', 'tarfile', '-c', file, 'package'], { cwd: home });
  const hash = createHash('sha512').update(readFileSync(file)).digest('base64');
  return { file, pin: { name: '@scope/made', version: '1.2.3', integrity: `sha512-${hash}` } };
}

/** A program in npm's place. */
function fakeNpm(script: string): void {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.PATH = `${bin}:${saved.PATH}`;
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SetupError, String(error));
  assert.match(error.message, message);
  assert.notEqual(error.mend, '');
  return true;
};

function assertNothingLeft(): void {
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
  assert.deepEqual(readdirSync(join(cache, 'locks')), []);
  assert.deepEqual(readdirSync(cache).sort(), ['locks', 'tmp']);
  assert.deepEqual(missingBuildPackages(root, [makeArchive().pin]), ['@scope/made']);
}

test('an archive with the right hash is unpacked once into the cache; its scripts do not run', async () => {
  const { file, pin } = makeArchive();
  fakeNpm(`echo "$@" >> ${join(folder, 'asked')}; cp ${file} .`);
  const lines: string[] = [];
  const bring = (at: string) => ensureBuildPackages(at, cache, (text) => lines.push(text), [pin]);
  assert.deepEqual(missingBuildPackages(root, [pin]), ['@scope/made']);
  await bring(root);
  assert.deepEqual(missingBuildPackages(root, [pin]), []);
  // No package-lock.json: an installed package, where npm would remove what is in node_modules.
  assert.equal(modulesFolder(root), join(root, 'dist', 'node_modules'));
  assert.ok(existsSync(join(root, 'dist/node_modules/@scope/made/binding/made.cc')));
  const clone = join(folder, 'clone');
  mkdirSync(clone);
  writeFileSync(join(clone, 'package-lock.json'), '{}');
  await bring(clone);
  assert.ok(existsSync(join(clone, 'node_modules/@scope/made/binding/made.cc')));
  assert.deepEqual(lines, ['npm packages: downloading @scope/made@1.2.3']);
  assert.match(readFileSync(join(folder, 'asked'), 'utf8'), /^pack @scope\/made@1\.2\.3 .*\n$/);
  assert.ok(!existsSync(join(file, '..', 'script-ran')), 'the install script ran');
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
});

test('another installed version is replaced', async () => {
  const { file, pin } = makeArchive();
  fakeNpm(`cp ${file} .`);
  const old = join(modulesFolder(root), '@scope', 'made');
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, 'package.json'), '{"version":"1.2.2"}');
  writeFileSync(join(old, 'old.cc'), '');
  await ensureBuildPackages(root, cache, () => undefined, [pin]);
  assert.deepEqual(readdirSync(old).sort(), ['binding', 'package.json']);
});

test('a wrong hash, a damaged archive, a missing npm or registry: a clear message, and nothing left behind', async () => {
  const { file, pin } = makeArchive();
  const bring = (given = pin) => ensureBuildPackages(root, cache, () => undefined, [given]);
  fakeNpm(`cp ${file} .`);
  await assert.rejects(
    bring({ ...pin, integrity: 'sha512-AAAA' }),
    refused(
      /^@scope\/made@1\.2\.3 has integrity sha512-\S+, wanted sha512-AAAA; it was not unpacked/,
    ),
  );
  writeFileSync(file, 'no archive');
  const hash = createHash('sha512').update('no archive').digest('base64');
  await assert.rejects(
    bring({ ...pin, integrity: `sha512-${hash}` }),
    refused(/could not be unpacked:\n/),
  );
  fakeNpm('echo "npm error code E404" >&2; exit 1');
  await assert.rejects(
    bring(),
    refused(/^npm pack failed \(exit code 1\):\n +npm error code E404$/),
  );
  process.env.PATH = mkdtempSync(join(folder, 'empty-'));
  await assert.rejects(bring(), refused(/^npm was not found on the PATH/));
  process.env.PATH = saved.PATH;
  assertNothingLeft();
});
