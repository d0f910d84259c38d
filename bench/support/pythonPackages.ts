/** Python packages for the peers, in the set-up's cache, outside the clone; a project's run never needs them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  const pins = Object.entries(versions);
  const what = pins.map(([wanted, version]) => `${wanted}==${version}`);
  const flags = alone ? ['--no-deps'] : [];
  const args = [...flags, ...what];
  return ensureFolder({ name: pins.flat().join('-'), what: what.join(', '), args }, say);
}

/**
 * The same for a whole set, every package of it pinned: `requirements/<set>.txt`. The folder's name has the
 * hash of that file.
 */
export function ensureRequirements(set: string, say: (text: string) => void): Promise<string> {
  const file = fileURLToPath(new URL(`requirements/${set}.txt`, import.meta.url));
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12);
  const args = ['--no-deps', '--requirement', file];
  return ensureFolder({ name: `${set}-${hash}`, what: `the packages of ${set}.txt`, args }, say);
}

interface PackageSet {
  /** Of the folder; the version of Python is added. */
  readonly name: string;
  /** For messages. */
  readonly what: string;
  /** For pip. */
  readonly args: readonly string[];
}

async function ensureFolder(set: PackageSet, say: (text: string) => void): Promise<string> {
  const cache = cacheRoot(process.env);
  const name = `python-${set.name}-py${await pythonVersion()}`;
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await openCache(cache);
  await withLock(
    join(cache, 'locks', `${name}.lock`),
    async () => {
      if (existsSync(folder)) return;
      say(`installing ${set.what} into the cache; this may take minutes`);
      await inTemporary(cache, (scratch) => install(set, scratch, folder));
    },
    (holder) => say(`waiting for ${holder}, which is installing ${set.what}`),
  );
  return folder;
}

async function install(set: PackageSet, scratch: string, folder: string): Promise<void> {
  const target = join(scratch, 'packages');
  const flags = ['-m', 'pip', 'install', '--quiet', '--target', target];
  const { code, output } = await runProgram('python3', [...flags, ...set.args], {
    env: { ...process.env, TMPDIR: scratch },
  });
  if (code !== 0) {
    const python = await pythonVersion();
    throw new Error(`pip could not install ${set.what} for Python ${python}:\n${tail(output)}`);
  }
  await place(target, folder);
}

/** Compiled packages fit one minor version. */
export async function pythonVersion(): Promise<string> {
  const program = 'import sys; print("%d.%d" % sys.version_info[:2])';
  const { code, output } = await runProgram('python3', ['-c', program]);
  if (code !== 0) throw new Error(`python3 does not run:\n${tail(output)}`);
  return output.trim();
}
