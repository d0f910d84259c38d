/** A file system of a few pages, to fill. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export interface SmallDisk {
  readonly path: string;
  remove(): void;
}

/** Makes the folder and mounts on it; null where this process may not mount (not root). */
export function smallDisk(path: string, kibibytes: number): SmallDisk | null {
  mkdirSync(path);
  try {
    const options = ['-o', `size=${kibibytes}k`];
    execFileSync('mount', ['-t', 'tmpfs', ...options, 'cirkd-test', path], { stdio: 'ignore' });
  } catch {
    return null;
  }
  return { path, remove: () => execFileSync('umount', ['-l', path]) };
}
