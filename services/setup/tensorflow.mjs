// Brings libtensorflow from the TensorFlow wheel into the cache: the two libraries and the C headers.
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inTemporary, place, syncDirectory } from './cache.mjs';
import { downloadWheel, extractWheel, installWheels } from './download.mjs';
import { withLock } from './lock.mjs';
import { CUDA_PACKAGES, TENSORFLOW_WHEELS } from './pins.mjs';
import { SetupError } from './setupError.mjs';

export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

/** The needed part of the wheel's 1.5 GB: the libraries, and the headers that the C API includes. */
const MEMBERS = [
  ...LIBRARIES.map((name) => `tensorflow/${name}`),
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/',
  'tensorflow/include/tsl/',
  'tensorflow/include/xla/tsl/',
];

/**
 * @param {NodeJS.ProcessEnv} env `CIRKD_TENSORFLOW`: cpu or cuda
 * @param {import('./pins.mjs').Flavour} [linked] the clone's flavour, kept unless env says otherwise
 * @returns {import('./pins.mjs').Flavour}
 */
export function flavourOf(env, linked = 'cpu') {
  const wanted = env.CIRKD_TENSORFLOW || linked;
  if (wanted === 'cpu' || wanted === 'cuda') return wanted;
  throw new SetupError(`CIRKD_TENSORFLOW is '${wanted}'.`, 'Set it to cpu or cuda.');
}

/**
 * @param {string} cache
 * @param {import('./pins.mjs').Flavour} flavour
 * @param {import('./pins.mjs').WheelPin} [pin]
 * @returns {string} the cache entry's directory, whether it is there or not
 */
export function tensorflowDirectory(cache, flavour, pin = TENSORFLOW_WHEELS[flavour]) {
  return join(cache, `tensorflow-${flavour}-${pin.version}-${pin.sha256.slice(0, 12)}`);
}

/**
 * @param {string} directory
 * @returns {Promise<boolean>} true if the entry is complete: every listed file has its size
 */
export async function isComplete(directory) {
  try {
    const { files } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
    for (const [name, bytes] of Object.entries(files)) {
      if ((await stat(join(directory, name))).size !== bytes) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/**
 * Brings libtensorflow into the cache unless it is there.
 * @param {string} cache
 * @param {import('./pins.mjs').Flavour} flavour
 * @param {(text: string) => void} say
 * @param {import('./pins.mjs').WheelPin} [pin]
 * @returns {Promise<string>} the entry's directory: tensorflow/{libraries, include/}, nvidia/
 */
export async function ensureTensorflow(cache, flavour, say, pin = TENSORFLOW_WHEELS[flavour]) {
  const directory = tensorflowDirectory(cache, flavour, pin);
  if (await isComplete(directory)) return directory;
  const lock = join(cache, 'locks', `tensorflow-${flavour}.lock`);
  await withLock(
    lock,
    async () => {
      if (await isComplete(directory)) return;
      await rm(directory, { recursive: true, force: true }); // damaged by hand
      await bring(cache, flavour, directory, say, pin);
    },
    (holder) => say(`waiting for ${holder}, which is installing libtensorflow`),
  );
  return directory;
}

/**
 * @param {string} cache
 * @param {import('./pins.mjs').Flavour} flavour
 * @param {string} directory
 * @param {(text: string) => void} say
 * @param {import('./pins.mjs').WheelPin} pin
 */
async function bring(cache, flavour, directory, say, pin) {
  await inTemporary(cache, async (scratch) => {
    const [download, tree] = [join(scratch, 'download'), join(scratch, 'tree')];
    await Promise.all([mkdir(download), mkdir(tree)]);
    say(`libtensorflow: downloading ${pin.project} ${pin.version}, ${pin.megabytes} MB`);
    const wheel = await downloadWheel(pin, download, say);
    say('libtensorflow: hash verified, extracting the libraries and headers');
    await extractWheel(wheel, tree, MEMBERS);
    await rm(download, { recursive: true });
    if (flavour === 'cuda') await bringCuda(scratch, tree, say);
    const files = await sizesOf(tree);
    for (const library of LIBRARIES) {
      if (!(`tensorflow/${library}` in files)) {
        throw new SetupError(`The wheel has no ${library}.`, 'Check the pin in pins.mjs.');
      }
    }
    const manifest = { project: pin.project, version: pin.version, sha256: pin.sha256, files };
    await writeFile(join(tree, 'manifest.json'), JSON.stringify(manifest, null, 1), {
      flush: true,
    });
    await syncDirectory(tree);
    await place(tree, directory);
    const bytes = Object.values(files).reduce((sum, size) => sum + size, 0);
    say(`libtensorflow ${pin.version} (${flavour}): ${Math.round(bytes / 1e6)} MB in ${directory}`);
  });
}

/**
 * @param {string} scratch
 * @param {string} tree
 * @param {(text: string) => void} say
 */
async function bringCuda(scratch, tree, say) {
  const [download, target] = [join(scratch, 'cuda-download'), join(scratch, 'cuda')];
  await mkdir(download);
  say(`CUDA: downloading ${CUDA_PACKAGES.length} NVIDIA packages, about 3 GB`);
  await installWheels(CUDA_PACKAGES, target, download);
  await rename(join(target, 'nvidia'), join(tree, 'nvidia'));
}

/** @param {string} tree */
async function sizesOf(tree) {
  /** @type {Record<string, number>} */
  const files = {};
  for (const name of await readdir(tree, { recursive: true })) {
    // Libraries only: hundreds of headers would make the check of a ready clone slow.
    if (!/\.so(\.|$)/.test(name)) continue;
    const entry = await stat(join(tree, name));
    if (entry.isFile()) files[name] = entry.size;
  }
  return files;
}
