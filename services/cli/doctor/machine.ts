/** Checks cores, memory, disk, and a CamVid folder if one is given. */
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheRoot } from '../../setup/cache.mjs';
import type { Check } from './check.js';
import { availableCores } from '../../../src/threads/availableCores.js';

const GIB = 2 ** 30;
/** The set-up's download, the libraries and the packages. */
const SETUP_DISK_BYTES = 3 * GIB;
/** The demo's two services with TensorFlow in each. */
const DEMO_MEMORY_BYTES = 3 * GIB;

export function checkCores(): Check {
  const cores = availableCores();
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const data = { cores, model };
  return { name: 'Processor', status: 'ok', detail: `${cores} cores, ${model}`, data };
}

export function checkMemory(): Check {
  const availableBytes = availableMemory();
  const detail = `${gib(availableBytes)} GiB available of ${gib(totalmem())} GiB`;
  const data = { availableBytes, totalBytes: totalmem() };
  if (availableBytes >= DEMO_MEMORY_BYTES) return { name: 'Memory', status: 'ok', detail, data };
  const mend = `the demo needs ${gib(DEMO_MEMORY_BYTES)} GiB: close other programs`;
  return { name: 'Memory', status: 'note', detail, mend, data };
}

/** @param setupDone if the set-up is done, low disk space is only a note */
export async function checkDisk(root: string, setupDone: boolean): Promise<Check[]> {
  const cache = nearestExisting(cacheRoot(process.env));
  const checks = [await diskOf('Disk of the cache', cache, setupDone)];
  if (nearestExisting(root) !== cache) checks.push(await diskOf('Disk of the clone', root, true));
  return checks;
}

async function diskOf(name: string, path: string, enough: boolean): Promise<Check> {
  const { bavail, bsize } = await statfs(path);
  const freeBytes = bavail * bsize;
  const detail = `${gib(freeBytes)} GiB free (${path})`;
  const data = { path, freeBytes };
  if (freeBytes >= SETUP_DISK_BYTES) return { name, status: 'ok', detail, data };
  const mend = `the set-up needs ${gib(SETUP_DISK_BYTES)} GiB; CIRKD_CACHE names another folder`;
  return { name, status: enough ? 'note' : 'missing', detail, mend, data };
}

export function checkCamvid(directory: string): Check {
  const name = 'CamVid';
  const wanted = ['train.lst', 'val.lst', 'train', 'trainannot', 'val', 'valannot'];
  const lacking = wanted.filter((entry) => !existsSync(join(directory, entry)));
  if (lacking.length > 0) {
    return {
      name,
      status: 'missing',
      detail: `${directory} lacks ${lacking.join(', ')}`,
      mend: 'name the folder with train.lst and val.lst: --camvid DIR',
    };
  }
  const count = (list: string) =>
    readFileSync(join(directory, list), 'utf8').split('\n').filter(Boolean).length;
  const data = { train: count('train.lst'), val: count('val.lst') };
  const detail = `${data.train} train and ${data.val} val images in ${directory}`;
  return { name, status: 'ok', detail, data };
}

/** Memory available without swapping; on Linux more than os.freemem(), which doesn't count caches. */
function availableMemory(): number {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return Math.min(Number(kib) * 1024, process.constrainedMemory() || Number.POSITIVE_INFINITY);
  } catch {
    return totalmem();
  }
}

function nearestExisting(path: string): string {
  let found = path;
  while (!existsSync(found)) found = dirname(found);
  return found;
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}
