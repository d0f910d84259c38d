import assert from 'node:assert/strict';
import {
  mkdirSync,
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
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { forgetOldTrees, missingPackages } from '../../services/setup/npmPackages.mjs';
import { BUILD_PACKAGES } from '../../services/setup/pins.mjs';
import { removeOtherPlatforms } from '../../services/setup/platformFiles.mjs';

const root = mkdtempSync(join(tmpdir(), 'cirkd-packages-'));
after(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, packages: Record<string, object>): void {
  writeFileSync(join(root, path), JSON.stringify({ packages }));
}

test('missing, outdated and half-removed packages are named; other platforms do not count', () => {
  const there = { version: '1.0.0', integrity: 'sha512-a' };
  write('package-lock.json', {
    '': { version: '0.1.0' },
    'node_modules/there': there,
    'node_modules/outdated': { version: '2.0.0', integrity: 'sha512-b' },
    'node_modules/removed': there,
    'node_modules/never': there,
    'node_modules/native': { ...there, optional: true, os: [process.platform] },
    'node_modules/elsewhere': { ...there, optional: true, os: ['nowhere'] },
    'node_modules/maybe': { ...there, optional: true },
  });
  assert.equal(missingPackages(root).length, 5, 'without node_modules');
  for (const name of ['there', 'outdated', 'native']) {
    mkdirSync(join(root, 'node_modules', name), { recursive: true });
    writeFileSync(join(root, 'node_modules', name, 'package.json'), '{}');
  }
  write('node_modules/.package-lock.json', {
    'node_modules/there': there,
    'node_modules/outdated': { version: '1.9.0', integrity: 'sha512-c' },
    'node_modules/removed': there,
    'node_modules/native': there,
  });
  assert.deepEqual(missingPackages(root), [
    'node_modules/outdated',
    'node_modules/removed',
    'node_modules/never',
  ]);
});

test('the most recently used cached trees stay, and those that another clone may be copying', async () => {
  const cache = join(root, 'cache');
  const hoursAgo = { a: 9, b: 8, c: 0.1, d: 0.2, e: 0.3, f: 0.4 };
  for (const [name, hours] of Object.entries(hoursAgo)) {
    const tree = join(cache, 'node_modules', name);
    mkdirSync(join(tree, 'package'), { recursive: true });
    const used = new Date(Date.now() - hours * 3600 * 1000);
    utimesSync(tree, used, used);
  }
  // Two set-ups at once: what one has removed is no fault for the other.
  await Promise.all([forgetOldTrees(cache), forgetOldTrees(cache)]);
  assert.deepEqual(readdirSync(join(cache, 'node_modules')).sort(), ['c', 'd', 'e', 'f']);
  assert.deepEqual(readdirSync(join(cache, 'locks')), []);
});

test('oneDNN is on; GPU memory grows as needed, and a limit becomes what must stay free', () => {
  assert.deepEqual(engineEnvironment({}), {
    TF_ENABLE_ONEDNN_OPTS: '1',
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_CPP_MIN_LOG_LEVEL: '2',
  });
  const own = {
    TF_ENABLE_ONEDNN_OPTS: '0',
    TF_FORCE_GPU_ALLOW_GROWTH: 'false',
    TF_CPP_MIN_LOG_LEVEL: '0',
  };
  assert.deepEqual(engineEnvironment(own), {});
  const limited = { ...own, CIRKD_GPU_MEMORY_MIB: '4096' };
  assert.deepEqual(
    engineEnvironment(limited, () => [16_000, 24_000]),
    { TF_DEVICE_MIN_SYS_MEMORY_IN_MB: String(24_000 - 4096) },
  );
  assert.deepEqual(
    engineEnvironment(limited, () => [2000]),
    {},
    'less is free than the limit',
  );
  assert.deepEqual(
    engineEnvironment(limited, () => []),
    {},
    'no GPU',
  );
  assert.throws(() => engineEnvironment({ CIRKD_GPU_MEMORY_MIB: '4 GiB' }), {
    name: 'ConfigError',
    message: /'4 GiB'; wanted a whole number/,
  });
});

test("of a package with binaries for all platforms, only this platform's stay", async () => {
  const modules = join(root, 'several', 'node_modules');
  const home = join(modules, 'onnxruntime-node', 'bin', 'napi-v6');
  const here = join(process.platform, process.arch);
  for (const folder of [here, join(process.platform, 'other'), join('win33', process.arch)]) {
    mkdirSync(join(home, folder), { recursive: true });
    writeFileSync(join(home, folder, 'binding.node'), '');
  }
  await removeOtherPlatforms(modules);
  const left = readdirSync(home, { recursive: true, encoding: 'utf8' });
  assert.deepEqual(left.sort(), [process.platform, here, join(here, 'binding.node')]);
  await removeOtherPlatforms(join(root, 'nowhere'));
});

test('package.json names the tfjs-node version that the set-up installs', () => {
  const { peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  for (const [name, version] of Object.entries(peerDependencies)) {
    assert.equal(BUILD_PACKAGES.find((pin) => pin.name === name)?.version, version, name);
  }
  assert.deepEqual(Object.keys(peerDependencies), ['@tensorflow/tfjs-node-gpu']);
});
