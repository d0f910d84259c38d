// Checks the set-up's requirements and results: for `cirkd doctor`, with or without npm packages.
import { existsSync } from 'node:fs';
import { addonIsReady, compilersOf, linkedFlavour } from './addon.mjs';
import { backboneFile } from './backboneFiles.mjs';
import { cacheRoot } from './cache.mjs';
import { PIP_WANTED, findPip, isPipNewEnough } from './download.mjs';
import { missingBuildPackages } from './buildPackages.mjs';
import { isClone, setupCommand } from './layout.mjs';
import { missingPackages } from './npmPackages.mjs';
import { BACKBONE_FILES, TENSORFLOW_WHEELS } from './pins.mjs';
import { runProgram } from './subprocess.mjs';
import { flavourOf, isComplete, tensorflowDirectory } from './tensorflow.mjs';

/** @typedef {import('../cli/doctor/check.js').Check} Check */

/**
 * Everything that the set-up itself can check.
 * @param {string} root the clone or the installed package
 * @returns {Promise<{ checks: Check[], setupDone: boolean }>}
 */
export async function checkSetup(root) {
  const installed = [checkPackages(root), await checkLibrary(root), checkAddon(root)];
  const setupDone = installed.every(({ status }) => status === 'ok');
  const tools = [checkNode(), await checkPip(!setupDone), await checkCompiler(!setupDone)];
  return { checks: [...tools, ...installed, checkBackbones()], setupDone };
}

/**
 * Checks the weights that only runs with `student.backboneWeights: imagenet` need.
 * @returns {Check}
 */
function checkBackbones() {
  const name = 'ImageNet backbones';
  const cache = cacheRoot(process.env);
  const details = BACKBONE_FILES.imagenet.map((pin) => {
    const file = backboneFile(cache, pin);
    const place = existsSync(file)
      ? file
      : `not in the cache, ${pin.wheel.megabytes} MB to download`;
    return `${pin.backbone} (${pin.source}; ${pin.licence}): ${place}`;
  });
  const data = Object.fromEntries(
    BACKBONE_FILES.imagenet.map((pin) => [pin.backbone, existsSync(backboneFile(cache, pin))]),
  );
  return { name, status: 'ok', detail: details.join('; '), data };
}

/** @returns {Check} */
function checkNode() {
  const version = process.versions.node;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const name = 'Node.js';
  if (major > 20 || (major === 20 && minor >= 11)) return { name, status: 'ok', detail: version };
  const mend = 'install Node.js 20.11 or newer';
  return { name, status: 'missing', detail: `${version} is too old`, mend };
}

/**
 * @param {string} root
 * @returns {Check}
 */
function checkPackages(root) {
  const name = 'npm packages';
  const clone = isClone(root);
  const dependencies = clone ? missingPackages(root) : [];
  const missing = [
    ...dependencies.map((path) => path.replace(/^.*node_modules\//, '')),
    ...missingBuildPackages(root),
  ];
  if (missing.length === 0) {
    const detail = clone ? 'match package-lock.json' : 'the sources of the addon';
    return { name, status: 'ok', detail };
  }
  const few = `${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ' …' : ''}`;
  return {
    name,
    status: 'missing',
    detail: `${missing.length} missing or of another version: ${few}`,
    mend: setupCommand(root),
    data: { missing },
  };
}

/**
 * pip and the compiler matter to the set-up only: once it is done, they are not needed.
 * @param {boolean} needed
 * @returns {Promise<Check>}
 */
async function checkPip(needed) {
  const name = 'Python and pip';
  const found = await findPip();
  const mend = `install Python 3 with pip ${PIP_WANTED} or newer, e.g. apt-get install python3 python3-pip`;
  const status = needed ? 'missing' : 'note';
  if (found === undefined) {
    const detail = 'python3 -m pip does not run; the set-up installs libtensorflow with it';
    return { name, status, detail, mend };
  }
  const detail = `${found.python || 'python'}, pip ${found.pip || '?'}`;
  if (found.pip === '' || isPipNewEnough(found.pip)) return { name, status: 'ok', detail };
  return { name, status, detail: `${detail}; wanted pip ${PIP_WANTED} or newer`, mend };
}

/**
 * @param {boolean} needed
 * @returns {Promise<Check>}
 */
async function checkCompiler(needed) {
  const name = 'C++ compiler';
  const compilers = compilersOf(process.env);
  for (const [program = '', ...first] of compilers) {
    const { code, output } = await runProgram(program, [...first, '--version']);
    if (code === 0) return { name, status: 'ok', detail: output.split('\n')[0] ?? program };
  }
  const tried = compilers.map((words) => words.join(' ')).join(', ');
  return {
    name,
    status: needed ? 'missing' : 'note',
    detail: `does not run: ${tried}; the set-up builds the addon with it`,
    mend: 'install one, e.g. apt-get install g++; set CXX to use another',
  };
}

/**
 * @param {string} root
 * @returns {Promise<Check>}
 */
async function checkLibrary(root) {
  const name = 'libtensorflow';
  const [cache, flavour] = [cacheRoot(process.env), flavourOf(process.env, linkedFlavour(root))];
  const directory = tensorflowDirectory(cache, flavour);
  const { version, megabytes } = TENSORFLOW_WHEELS[flavour];
  const data = { version, flavour, directory };
  if (await isComplete(directory)) {
    const kind = flavour === 'cuda' ? 'CUDA' : 'CPU';
    return { name, status: 'ok', detail: `${version}, ${kind}, in ${directory}`, data };
  }
  const detail = existsSync(directory)
    ? `${directory} is damaged`
    : `${version} (${flavour}) is not in the cache ${cache}`;
  const mend = `${setupCommand(root)} (downloads ${megabytes} MB)`;
  return { name, status: 'missing', detail, mend, data };
}

/**
 * @param {string} root
 * @returns {Check}
 */
function checkAddon(root) {
  const name = 'tfjs-node addon';
  const cache = cacheRoot(process.env);
  const directory = tensorflowDirectory(cache, flavourOf(process.env, linkedFlavour(root)));
  let ready = false;
  try {
    ready = addonIsReady(root, directory, cache);
  } catch {
    // @tensorflow/tfjs-node-gpu itself is missing.
  }
  if (ready) return { name, status: 'ok', detail: 'built and linked to libtensorflow' };
  const detail = 'not built, built from other sources, or linked to another libtensorflow';
  return { name, status: 'missing', detail, mend: setupCommand(root) };
}
