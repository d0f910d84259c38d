/** Keeps a store within its bound, whoever wrote what is in it. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import cacache from 'cacache';

/** What a file takes on a disk is a multiple of this. */
const BLOCK_BYTES = 4096;

/** After a sweep that removed something, this part of the bound is in use. */
const FILL_AFTER = 0.9;

/** A file under its first name is being written; one that is older was left by a killed process. */
const ABANDONED_MS = 600_000;

export interface SweptStore {
  readonly evicted: number;
  readonly bytes: number;
  readonly answers: number;
}

interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  readonly usedMs: number;
}

/** What an answer of so many bytes takes: its file and that of its key. */
export function storedBytes(packedBytes: number): number {
  return Math.ceil(packedBytes / BLOCK_BYTES) * BLOCK_BYTES + BLOCK_BYTES;
}

/** Removes the file of a key; without the option, which the types lack, cacache would add a line to it. */
export async function removeKey(directory: string, key: string): Promise<void> {
  const remove: (path: string, key: string, options: object) => Promise<unknown> = cacache.rm.entry;
  await remove(directory, key, { removeFully: true });
}

/** Several processes may sweep at once. Errors of single files are passed over. */
export async function sweepStore(directory: string, maxBytes: number): Promise<SweptStore> {
  await removeAbandoned(join(directory, 'tmp'));
  const files = await filesBelow(join(directory, 'content-v2'));
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes <= maxBytes) return { evicted: 0, bytes, answers: files.length };
  files.sort((a, b) => a.usedMs - b.usedMs);
  const victims = new Set<string>();
  for (const { path, bytes: freed } of files) {
    if (bytes <= maxBytes * FILL_AFTER) break;
    victims.add(path);
    bytes -= freed;
  }
  for (const path of victims) await rm(path, { force: true }).catch(() => {});
  await removeKeys(directory, victims);
  return { evicted: victims.size, bytes, answers: files.length - victims.size };
}

/** Removes the keys of answers that are gone. */
async function removeKeys(directory: string, gone: ReadonlySet<string>): Promise<void> {
  try {
    for await (const entry of cacache.ls.stream(directory)) {
      const { key, path } = entry as unknown as cacache.CacheObject;
      if (!gone.has(path)) continue;
      await removeKey(directory, key);
    }
  } catch {
    // A key without an answer reads as absent.
  }
}

async function filesBelow(folder: string): Promise<StoredFile[]> {
  const paths = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: StoredFile[] = [];
  for (const entry of paths) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    // Another process may have removed it.
    const info = await stat(path).catch(() => null);
    if (info === null) continue;
    files.push({ path, bytes: storedBytes(info.size), usedMs: info.mtimeMs });
  }
  return files;
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (info === null || Date.now() - info.mtimeMs < ABANDONED_MS) continue;
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
