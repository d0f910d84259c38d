/** The set-up without a network: real pip on a wheel made here, real locks, real processes. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { compilersOf, runCompiler } from '../../services/setup/addon.mjs';
import { cacheRoot, openCache } from '../../services/setup/cache.mjs';
import { isPipNewEnough } from '../../services/setup/download.mjs';
import { SetupError } from '../../services/setup/setupError.mjs';
import { ensureTensorflow, flavourOf, isComplete } from '../../services/setup/tensorflow.mjs';
import { makeWheel } from '../support/madeWheel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-setup-'));
const saved = { ...process.env };
let cache = '';
let count = 0;
after(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(async () => {
  for (const key of Object.keys(process.env)) if (!(key in saved)) delete process.env[key];
  Object.assign(process.env, saved);
  cache = join(folder, `cache-${count++}`);
  await openCache(cache);
});

function offline(wheels: string): void {
  Object.assign(process.env, { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels });
}

/** An executable that stands before all others on the PATH. */
function shim(name: string, script: string): void {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.PATH = `${bin}:${saved.PATH}`;
}

function assertNothingLeft(): void {
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
  assert.deepEqual(readdirSync(join(cache, 'locks')), []);
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.startsWith('tensorflow-')),
    [],
  );
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SetupError, String(error));
  assert.match(error.message, message);
  assert.notEqual(error.mend, '');
  return true;
};

test('the wanted files of the right wheel are put into the cache, once', async () => {
  const wheels = join(folder, 'right');
  const pin = makeWheel(wheels);
  offline(wheels);
  const lines: string[] = [];
  const entry = await ensureTensorflow(cache, 'cpu', (text) => lines.push(text), pin);
  assert.ok(await isComplete(entry), 'the entry is not whole');
  assert.equal(readFileSync(join(entry, 'tensorflow/libtensorflow_cc.so.2'), 'utf8').length, 5000);
  assert.ok(existsSync(join(entry, 'tensorflow/include/tsl/a.h')), 'a header is missing');
  assert.ok(!existsSync(join(entry, 'tensorflow/python')), 'more than the wanted members came');
  assert.deepEqual(readdirSync(join(cache, 'tmp')), [], 'the wheel is gone');
  const before = lines.length;
  await ensureTensorflow(cache, 'cpu', (text) => lines.push(text), pin);
  assert.equal(lines.length, before, 'the second time there is nothing to do or say');

  writeFileSync(join(entry, 'tensorflow/libtensorflow_cc.so.2'), 'cut short');
  assert.equal(await isComplete(entry), false);
  await ensureTensorflow(cache, 'cpu', () => undefined, pin);
  assert.ok(await isComplete(entry), 'a damaged entry is brought again');
});

test('a wheel with a wrong hash is refused and nothing is left behind', async () => {
  const wheels = join(folder, 'other');
  const pin = { ...makeWheel(wheels), sha256: '0'.repeat(64) };
  offline(wheels);
  await assert.rejects(
    ensureTensorflow(cache, 'cpu', () => undefined, pin),
    refused(/has sha256 [0-9a-f]{64}, wanted 0{64}/),
  );
  assertNothingLeft();
});

test('a wheel that breaks while it is unpacked leaves nothing', async () => {
  const wheels = join(folder, 'damaged');
  const pin = makeWheel(wheels, true);
  offline(wheels);
  await assert.rejects(
    ensureTensorflow(cache, 'cpu', () => undefined, pin),
    refused(/could not be unpacked:[\s\S]*Bad CRC-32/),
  );
  assertNothingLeft();
});

test('no index within reach: the message quotes pip', async () => {
  offline(join(folder, 'nowhere'));
  const pin = { project: 'tensorflow-cpu', version: '2.21.0', sha256: '', megabytes: 1 };
  await assert.rejects(
    ensureTensorflow(cache, 'cpu', () => undefined, pin),
    refused(/pip could not download tensorflow-cpu 2\.21\.0 \(exit code 1\):[\s\S]*tensorflow-cpu/),
  );
  assertNothingLeft();
});

test('a missing Python, pip or compiler is named with what to install', async () => {
  const pin = { project: 'tensorflow-cpu', version: '2.21.0', sha256: '', megabytes: 1 };
  const bring = () => ensureTensorflow(cache, 'cpu', () => undefined, pin);
  shim('python3', 'echo "/usr/bin/python3: No module named pip" >&2; exit 1');
  await assert.rejects(bring(), refused(/python3 has no pip/));
  process.env.PATH = mkdtempSync(join(folder, 'empty-'));
  await assert.rejects(bring(), refused(/python3 was not found/));
  await assert.rejects(
    runCompiler(['-v']),
    refused(/No C\+\+ compiler was found \(looked for g\+\+, c\+\+, clang\+\+\)/),
  );
  assertNothingLeft();
});

test('a compiler that fails is quoted', async () => {
  shim('broken-cxx', 'echo "fatal error: no such header" >&2; exit 3');
  process.env.CXX = 'broken-cxx';
  await assert.rejects(runCompiler([]), refused(/broken-cxx .*exit code 3[\s\S]*no such header/));
});

test('CXX may have arguments, as with a compiler cache', async () => {
  shim('cache-cxx', 'echo "$@"; [ "$1 $2" = "real-cxx -v" ]');
  process.env.CXX = ' cache-cxx  real-cxx';
  await runCompiler(['-v']);
  await assert.rejects(
    runCompiler(['-w']),
    refused(/^cache-cxx real-cxx could not.*1\):\s+real-cxx -w$/),
  );
  assert.deepEqual(compilersOf({ CXX: '' }), [['g++'], ['c++'], ['clang++']]);
});

test('a pip that is too old is reported with the version that is needed', async () => {
  const version = 'pip 20.2.4 from /usr/lib/python3/dist-packages/pip (python 3.8)';
  shim('python3', `if [ "$3" = --version ]; then echo '${version}'; else exit 2; fi`);
  const pin = { project: 'tensorflow-cpu', version: '2.21.0', sha256: '', megabytes: 1 };
  await assert.rejects(
    ensureTensorflow(cache, 'cpu', () => undefined, pin),
    refused(/^pip 20\.2\.4 is too old.*wanted pip 20\.3 or newer/),
  );
  assertNothingLeft();
  for (const good of ['20.3', '20.3.1', '21.0', '25.1.dev0']) assert.ok(isPipNewEnough(good), good);
  for (const old of ['9.0.3', '20.2', '19.4']) assert.ok(!isPipNewEnough(old), old);
});

test('the cache is where the environment says; the flavour is cpu or cuda', async () => {
  assert.equal(cacheRoot({ CIRKD_CACHE: '/a/b', XDG_CACHE_HOME: '/x' }), '/a/b');
  assert.equal(cacheRoot({ XDG_CACHE_HOME: '/x' }), '/x/cirkd');
  assert.match(cacheRoot({}), /\.cache\/cirkd$/);
  assert.equal(flavourOf({}), 'cpu');
  assert.equal(flavourOf({ CIRKD_TENSORFLOW: 'cuda' }), 'cuda');
  assert.equal(flavourOf({}, 'cuda'), 'cuda', 'a clone keeps what it was set up with');
  assert.equal(flavourOf({ CIRKD_TENSORFLOW: 'cpu' }, 'cuda'), 'cpu');
  assert.throws(() => flavourOf({ CIRKD_TENSORFLOW: 'gpu' }), refused(/'gpu'/));
  writeFileSync(join(folder, 'a-file'), '');
  await assert.rejects(openCache(join(folder, 'a-file', 'cache')), refused(/cannot be written/));
});
