/** Set-ups that are killed or run at the same time: real processes, real files. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openCache } from '../../services/setup/cache.mjs';
import { withLock } from '../../services/setup/lock.mjs';
import { BUILD_PACKAGES } from '../../services/setup/pins.mjs';
import { eventually } from '../support/eventually.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What the set-up is made of: its programs, and the sources of the addon. */
const SETUP = ['services/setup', 'src/tensor/native'];
const folder = mkdtempSync(join(tmpdir(), 'cirkd-setup-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A clone with its packages, whose python3 writes half a wheel and then waits. */
function hangingSetup(name: string): { child: ChildProcess; cache: string; half: string } {
  const [root, cache, bin] = [
    join(folder, name),
    join(folder, `${name}-cache`),
    join(folder, 'bin'),
  ];
  const half = join(folder, `${name}-half-there`);
  mkdirSync(bin, { recursive: true });
  for (const part of SETUP) cpSync(join(ROOT, part), join(root, part), { recursive: true });
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{}}');
  for (const { name: module, version } of BUILD_PACKAGES) {
    mkdirSync(join(root, 'node_modules', module), { recursive: true });
    writeFileSync(join(root, 'node_modules', module, 'package.json'), JSON.stringify({ version }));
  }
  const script = `#!/bin/sh\necho half > "$TMPDIR/x.whl"; : > "${half}"; exec sleep 60\n`;
  writeFileSync(join(bin, 'python3'), script, { mode: 0o755 });
  const child = spawn(process.execPath, [join(root, 'services/setup/main.mjs')], {
    stdio: 'ignore',
    env: { ...process.env, CIRKD_CACHE: cache, PATH: `${bin}:${process.env.PATH}` },
  });
  return { child, cache, half };
}

const entries = (cache: string) =>
  readdirSync(cache).filter((name) => name.startsWith('tensorflow-'));

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} in the middle of a download: exit code ${exitCode}, nothing left`, async () => {
    const { child, cache, half } = hangingSetup(signal);
    await eventually(() => existsSync(half));
    assert.equal(readdirSync(join(cache, 'tmp')).length, 1);
    child.kill(signal);
    const [code] = await once(child, 'exit');
    assert.equal(code, exitCode);
    assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
    assert.deepEqual(entries(cache), []);
  });
}

test('SIGKILL in the middle: no entry; the next set-up sweeps and takes the lock', async () => {
  const { child, cache, half } = hangingSetup('killed');
  await eventually(() => existsSync(half));
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.deepEqual(entries(cache), []);
  assert.equal(readdirSync(join(cache, 'tmp')).length, 1, 'nobody could clean up');
  await openCache(cache);
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
  let taken = false;
  await withLock(join(cache, 'locks', 'tensorflow-cpu.lock'), async () => {
    taken = true;
  });
  assert.ok(taken, 'the lock of the killed set-up was taken over');
});

test('a temporary directory of a running process is not swept', async () => {
  const cache = join(folder, 'running-cache');
  const host = hostname().replaceAll(/[^\w.-]/g, '-');
  const alive = `${host}-${process.pid}-01234567`;
  mkdirSync(join(cache, 'tmp', alive), { recursive: true });
  await openCache(cache);
  assert.deepEqual(readdirSync(join(cache, 'tmp')), [alive]);
});

test('the lock admits one process at a time and tells the others which one holds it', async () => {
  const lock = join(folder, 'locks', 'contended.lock');
  const holders: string[] = [];
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    await sleep(5);
    inside--;
  };
  await Promise.all(
    Array.from({ length: 4 }, () => withLock(lock, work, (holder) => holders.push(holder))),
  );
  assert.equal(most, 1);
  assert.equal(holders.length, 3);
  assert.match(holders[0] ?? '', new RegExp(`^process ${process.pid} on `));
  assert.ok(!existsSync(lock), 'the lock is still there');
});

test('the lock is released when the locked work throws', async () => {
  const lock = join(folder, 'locks', 'thrown.lock');
  await assert.rejects(
    withLock(lock, async () => {
      throw new Error('no luck');
    }),
    /no luck/,
  );
  assert.ok(!existsSync(lock), 'the lock is still there');
});
