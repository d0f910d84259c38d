/** What tests install: folders in the set-up's cache, outside the clone. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot, inTemporary, openCache, place } from '../../../services/setup/cache.mjs';
import { withLock } from '../../../services/setup/lock.mjs';

/**
 * The cache's folder `name`, which `install` fills once: the name says versions and choices. A
 * folder that exists is complete; several processes that want it at once install it once.
 */
export async function cached(
  name: string,
  install: (target: string, scratch: string) => Promise<void>,
): Promise<string> {
  const cache = cacheRoot(process.env);
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await openCache(cache);
  const lock = join(cache, 'locks', `${name}.lock`);
  await withLock(
    lock,
    async () => {
      if (existsSync(folder)) return;
      process.stderr.write(`installing ${name} into the cache\n`);
      await inTemporary(cache, async (scratch) => {
        const target = join(scratch, 'target');
        await mkdir(target);
        await install(target, scratch);
        await place(target, folder);
      });
    },
    (holder) => process.stderr.write(`waiting for ${holder}, which is installing ${name}\n`),
  );
  return folder;
}
