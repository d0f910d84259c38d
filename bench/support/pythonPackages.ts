/** Python packages for the peers, in the set-up's cache, outside the clone; a project's run never needs them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheRoot, inTemporary, openCache, place } from '../../services/setup/cache.mjs';
import { withLock } from '../../services/setup/lock.mjs';
import { runProgram, tail } from '../../services/setup/subprocess.mjs';

/**
 * The folder for PYTHONPATH; installs it with pip where it's missing.
 *
 * @param versions of the packages by name; with `python3`'s own they make the folder's name
 * @param alone without what the packages require, which another folder on PYTHONPATH has
 */
export async function ensurePython(
  versions: Readonly<Record<string, string>>,
  say: (text: string) => void,
  { alone = false }: { readonly alone?: boolean } = {},
): Promise<string> {
  const cache = cacheRoot(process.env);
  const pins = Object.entries(versions);
  const name = `python-${pins.flat().join('-')}-py${await pythonVersion()}`;
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const what = pins.map(([wanted, version]) => `${wanted}==${version}`);
  await openCache(cache);
  await withLock(
    join(cache, 'locks', `${name}.lock`),
    async () => {
      if (existsSync(folder)) return;
      say(`installing ${what.join(', ')} into the cache; this may take minutes`);
      await inTemporary(cache, (scratch) => install(what, alone, scratch, folder));
    },
    (holder) => say(`waiting for ${holder}, which is installing ${what.join(', ')}`),
  );
  return folder;
}

async function install(
  what: readonly string[],
  alone: boolean,
  scratch: string,
  folder: string,
): Promise<void> {
  const target = join(scratch, 'packages');
  const how = ['--quiet', ...(alone ? ['--no-deps'] : []), '--target', target];
  const args = ['-m', 'pip', 'install', ...how, ...what];
  const env = { ...process.env, TMPDIR: scratch };
  const { code, output } = await runProgram('python3', args, { env });
  if (code !== 0) throw new Error(`pip could not install ${what.join(' ')}:\n${tail(output)}`);
  await place(target, folder);
}

/** Compiled packages fit one minor version. */
async function pythonVersion(): Promise<string> {
  const program = 'import sys; print("%d.%d" % sys.version_info[:2])';
  const { code, output } = await runProgram('python3', ['-c', program]);
  if (code !== 0) throw new Error(`python3 does not run:\n${tail(output)}`);
  return output.trim();
}
