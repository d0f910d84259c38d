// The finished tree: the same modes and times each time it is made, and what is in it.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

const MIB = 1_048_576;
/** A fixed date, so that two builds differ where their files do and nowhere else. */
const BUILT = Number(process.env.SOURCE_DATE_EPOCH ?? 315_532_800);

/**
 * Everybody may read, nobody may write: the process runs as a user who owns none of it.
 * @param {string} tree
 */
export function settle(tree) {
  for (const path of [...pathsOf(tree), '']) {
    const at = join(tree, path);
    const entry = lstatSync(at);
    if (entry.isSymbolicLink()) throw new Error(`${path} is a link, wanted a file`);
    const runs = entry.isDirectory() || /\/bin\/|\.so(\.\d+)*$|\.node$/.test(path);
    chmodSync(at, runs ? 0o755 : 0o644);
    utimesSync(at, BUILT, BUILT);
  }
}

/**
 * @param {string} tree
 * @param {string} engine folder of the addon, below the tree
 * @returns {string} a line for each part with its size, and one with the hash over all files
 */
export function describe(tree, engine) {
  /** @type {Map<string, number>} */
  const parts = new Map();
  const hash = createHash('sha256');
  for (const path of pathsOf(tree)) {
    const entry = lstatSync(join(tree, path));
    if (!entry.isFile()) continue;
    const file = createHash('sha256')
      .update(readFileSync(join(tree, path)))
      .digest('hex');
    hash.update(`${file} ${path}\n`);
    const part = partOf(path, engine);
    parts.set(part, (parts.get(part) ?? 0) + entry.size);
  }
  const total = [...parts.values()].reduce((sum, bytes) => sum + bytes, 0);
  const rows = [...parts, /** @type {const} */ (['all', total])].sort((a, b) => a[1] - b[1]);
  const lines = rows.map(([part, bytes]) => `${(bytes / MIB).toFixed(1).padStart(8)} MiB  ${part}`);
  return `${lines.join('\n')}\ntree ${hash.digest('hex')}\n`;
}

/**
 * @param {string} path
 * @param {string} engine
 * @returns {string}
 */
function partOf(path, engine) {
  if (path.startsWith(`${engine}/deps/nvidia/`)) return 'NVIDIA libraries';
  if (path.startsWith(`${engine}/deps/`)) return 'libtensorflow';
  if (path.startsWith(engine)) return 'addon';
  return path.startsWith('node_modules/') ? 'npm packages' : 'cirkd';
}

/**
 * @param {string} tree
 * @returns {string[]} sorted
 */
function pathsOf(tree) {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort();
}
