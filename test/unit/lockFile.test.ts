/** The lock file: one holder at a time, and nobody waits for ever for one that a killed process left. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { LockTimeoutError, withLockFile } from '../../src/rpc/lockFile.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-lock-'));
after(() => rmSync(folder, { recursive: true }));
const limits = { leftMs: 300, waitMs: 5000 };

/** A lock whose time of change is `seconds` from now. */
function leave(name: string, seconds: number): string {
  const file = join(folder, name);
  writeFileSync(file, '');
  const time = Date.now() / 1000 + seconds;
  utimesSync(file, time, time);
  return file;
}

test('many at once where a lock was left: one after the other, and no file stays', async () => {
  for (let round = 0; round < 10; round++) {
    const file = leave('left', -60);
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await setTimeout(2);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 8 }, () => withLockFile(file, work, limits)));
    assert.equal(most, 1);
  }
  assert.deepEqual(readdirSync(folder), []);
});

test('a left lock whose time lies in the future is waited for no longer than another', async () => {
  const file = leave('future', 3600);
  const startedAtMs = performance.now();
  await withLockFile(file, async () => {}, limits);
  const ms = performance.now() - startedAtMs;
  assert.ok(ms > 250 && ms < 3000, `${ms} ms`);
});

test('the lock of another is not removed at the end', async () => {
  const file = join(folder, 'replaced');
  await withLockFile(file, async () => {
    rmSync(file);
    writeFileSync(file, 'of another');
  });
  assert.equal(readFileSync(file, 'utf8'), 'of another');
  rmSync(file);
});

test('a lock that always is another’s: an error that names the file, and it stays', async () => {
  const file = join(folder, 'renewed');
  let isOver = false;
  const renewal = (async () => {
    while (!isOver) {
      const time = Date.now() / 1000;
      if (!existsSync(file)) writeFileSync(file, '');
      utimesSync(file, time, time);
      await setTimeout(20);
    }
  })();
  const waiting = withLockFile(file, async () => {}, { leftMs: 300, waitMs: 900 });
  await assert.rejects(waiting, (error: Error) => {
    assert.ok(error instanceof LockTimeoutError, String(error));
    assert.ok(error.message.startsWith(`the lock file ${file} has been there for 0.9 s`));
    return true;
  });
  isOver = true;
  await renewal;
  assert.ok(existsSync(file));
});
