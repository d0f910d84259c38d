import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { availableCores } from '../../src/threads/availableCores.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cores-'));
});
afterEach(() => rm(root, { recursive: true }));

async function files(contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(contents)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), `${text}\n`);
  }
}

test('without a control group, or without a quota, every core is available', async () => {
  assert.equal(availableCores(root), availableParallelism());
  await files({ 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': 'max 100000' });
  assert.equal(availableCores(root), availableParallelism());
});

test('a quota of one core is one core, one of less is also one', async () => {
  await files({ 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '100000 100000' });
  assert.equal(availableCores(root), 1);
  await files({ 'sys/fs/cgroup/cpu.max': '150000 100000' });
  assert.equal(availableCores(root), 1);
  await files({ 'sys/fs/cgroup/cpu.max': '5000 100000' });
  assert.equal(availableCores(root), 1);
});

test('a quota above the number of cores changes nothing', async () => {
  await files({ 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '99999900000 100000' });
  assert.equal(availableCores(root), availableParallelism());
});

test('the smallest quota of the groups above counts', async () => {
  await files({
    'proc/self/cgroup': '0::/pods/a',
    'sys/fs/cgroup/pods/a/cpu.max': '99999900000 100000',
    'sys/fs/cgroup/pods/cpu.max': '100000 100000',
  });
  assert.equal(availableCores(root), 1);
});

test('the quota of version 1 counts, whose controller may share its hierarchy', async () => {
  await files({
    'proc/self/cgroup': '3:memory:/m\n2:cpu,cpuacct:/docker/a\n0::/',
    'sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us': '100000',
    'sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us': '100000',
  });
  assert.equal(availableCores(root), 1);
  await files({ 'sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us': '-1' });
  assert.equal(availableCores(root), availableParallelism());
});
