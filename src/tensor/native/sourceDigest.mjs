// Which sources the native addon was built from. The set-up writes their digest beside the addon;
// src/tensor/binding.ts compares. Plain JavaScript, as the set-up runs before anything is installed.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Name of the digest's file, in the addon's folder. */
export const SOURCE_STAMP = 'tfjs_binding.source';

/**
 * @param {string} folder that holds the C++ sources
 * @returns {string | null} SHA-256 (hex) of names and contents, in order of names; null if the folder has no
 *   sources, as in a container image
 */
export function sourceDigest(folder) {
  const names = existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
        /\.(cc|h)$/.test(name),
      )
    : [];
  if (names.length === 0) return null;
  const hash = createHash('sha256');
  for (const name of names.sort()) {
    const content = readFileSync(join(folder, name));
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/**
 * @param {string} addonFolder
 * @returns {string | null} what the set-up wrote; null if it wrote nothing, as before this file existed
 */
export function readStamp(addonFolder) {
  const file = join(addonFolder, SOURCE_STAMP);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}
