/** The cores that this process may use. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { posix } from 'node:path';

/**
 * The cores of the process' affinity mask, and at most those of its control group's quota (a container's CPU
 * limit): a quota of 1.5 cores is 1, since threads beyond it are stopped in mid-work. At least 1.
 *
 * @param root folder of the control groups and of /proc; another one in tests
 */
export function availableCores(root = '/'): number {
  const quotas = [...unifiedQuotas(root), ...cpuControllerQuotas(root)];
  return Math.max(1, Math.min(availableParallelism(), ...quotas.map(Math.floor)));
}

/** Version 2: `cpu.max` holds "quota period", or "max period" without a limit. */
function unifiedQuotas(root: string): number[] {
  return levels(groupOf(root, '')).flatMap((level) => {
    const [quota, period] = read(root, 'sys/fs/cgroup', level, 'cpu.max').split(' ').map(Number);
    return ratio(quota, period);
  });
}

/** Version 1: a quota of -1 is none. */
function cpuControllerQuotas(root: string): number[] {
  return levels(groupOf(root, 'cpu')).flatMap((level) => {
    const folder = ['sys/fs/cgroup/cpu', level] as const;
    const quota = Number(read(root, ...folder, 'cpu.cfs_quota_us'));
    return ratio(quota, Number(read(root, ...folder, 'cpu.cfs_period_us')));
  });
}

function ratio(quota = Number.NaN, period = Number.NaN): number[] {
  return quota > 0 && period > 0 ? [quota / period] : [];
}

/**
 * The path of this process' group in the hierarchy of a controller; '' is that of version 2. In a container with
 * a namespace of its own it is "/".
 */
function groupOf(root: string, controller: string): string {
  const lines = read(root, 'proc/self/cgroup').split('\n');
  for (const line of lines) {
    const [, controllers = '', ...path] = line.split(':');
    if (controllers.split(',').includes(controller)) return path.join(':');
  }
  return '/';
}

/** A group and all above it, each of which may have a quota: "/a/b", "/a", "/". */
function levels(group: string): string[] {
  const found = [];
  // A path from outside the container's namespace has parts that aren't visible here.
  for (let level = posix.resolve('/', group); ; level = posix.dirname(level)) {
    found.push(level);
    if (level === '/') return found;
  }
}

/** '' where there is no such file. */
function read(...path: readonly string[]): string {
  try {
    return readFileSync(posix.join(...path), 'utf8').trim();
  } catch {
    return '';
  }
}
