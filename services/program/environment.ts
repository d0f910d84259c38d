/** What a run is made with: versions, machine, commit. Goes into its start event and its report. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from './packageRoot.js';
import { packageVersion } from './packageVersion.js';

export type Environment = Readonly<Record<string, string | number>>;

/** `engine`: versions and device by name, as the computing thread gave them. */
export async function environmentOf(
  engine: Readonly<Record<string, string>>,
): Promise<Environment> {
  const cores = cpus();
  return {
    cirkd: packageVersion(),
    commit: (await gitCommit(packageRoot())) ?? 'unknown',
    node: process.version,
    ...engine,
    system: `${platform()} ${release()} ${arch()}`,
    processor: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}

/** With "-dirty" behind it where files differ; null without git, or outside of a clone. */
async function gitCommit(root: string): Promise<string | null> {
  if (!existsSync(join(root, '.git'))) return null;
  const describe = ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'];
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', root, ...describe], {
      timeout: 5000,
    });
    return stdout.trim() || null;
  } catch {
    return null;
  }
}
