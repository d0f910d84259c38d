/** PyTorch for the peer, in the set-up's cache, outside the clone; a project's run never needs it. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, inTemporary, openCache, place } from '../../services/setup/cache.mjs';
import { withLock } from '../../services/setup/lock.mjs';
import { runProgram, tail } from '../../services/setup/subprocess.mjs';

const TORCH = '2.15.0';
const NUMPY = '2.3.5';

/**
 * The folder for PYTHONPATH; installs it where it's missing. PyPI's wheel for Linux is the one with
 * CUDA (5 GB unpacked): on a machine without a GPU it computes with the same kernels as the CPU's.
 */
export async function ensureTorch(say: (text: string) => void): Promise<string> {
  const cache = cacheRoot(process.env);
  const name = `python-torch-${TORCH}-numpy-${NUMPY}-py${await pythonVersion()}`;
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await openCache(cache);
  await withLock(
    join(cache, 'locks', `${name}.lock`),
    async () => {
      if (existsSync(folder)) return;
      say(`installing PyTorch ${TORCH} into the cache; this takes minutes`);
      await inTemporary(cache, (scratch) => install(scratch, folder));
    },
    (holder) => say(`waiting for ${holder}, which is installing PyTorch`),
  );
  return folder;
}

async function install(scratch: string, folder: string): Promise<void> {
  const target = join(scratch, 'packages');
  const what = [`torch==${TORCH}`, `numpy==${NUMPY}`];
  const { code, output } = await runProgram(
    'python3',
    ['-m', 'pip', 'install', '--quiet', '--target', target, ...what],
    { env: { ...process.env, TMPDIR: scratch } },
  );
  if (code !== 0) throw new Error(`pip could not install ${what.join(' ')}:\n${tail(output)}`);
  await place(target, folder);
}

/** With these packages and what the peers share, and further folders of Python modules. */
export function peerEnvironment(torch: string, ...folders: readonly string[]): NodeJS.ProcessEnv {
  const shared = fileURLToPath(new URL('.', import.meta.url));
  const PYTHONPATH = [torch, shared, ...folders].join(delimiter);
  // Nothing is left behind in the source tree.
  return { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
}

/** Compiled packages fit one minor version. */
async function pythonVersion(): Promise<string> {
  const program = 'import sys; print("%d.%d" % sys.version_info[:2])';
  const { code, output } = await runProgram('python3', ['-c', program]);
  if (code !== 0) throw new Error(`python3 does not run:\n${tail(output)}`);
  return output.trim();
}
