// tfjs-node's native addon, with this project's own kernels in it, built with the C++ compiler alone:
// node-api-headers has the headers of Node-API, so neither node-gyp nor a download of Node's own headers
// is needed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, freemem } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { readStamp, SOURCE_STAMP, sourceDigest } from '../../src/tensor/native/sourceDigest.mjs';
import { inTemporary, place } from './cache.mjs';
import { modulesFolder } from './layout.mjs';
import { SetupError } from './setupError.mjs';
import { runProgram, tail } from './subprocess.mjs';
import { LIBRARIES } from './tensorflow.mjs';

const ADDON = join('lib', 'napi-v8', 'tfjs_binding.node');
const FLAGS = ['-O2', '-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8'];
/** The kernels that TensorFlow lacks; they register themselves when the addon is loaded. */
const KERNELS = join('src', 'tensor', 'native');
/** Vectorises loops, including sums; NaN and infinity keep their meaning. */
export const KERNEL_FLAGS = [
  ...['-O3', '-std=c++17', '-fPIC', '-c', '-pthread'],
  ...['-fopenmp-simd', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'],
];
const RPATH = '-Wl,-rpath,$ORIGIN/../../deps/lib';
/**
 * The kernels stay registered with TensorFlow and have threads of their own, so the addon must stay in
 * memory when the last thread of Node.js that had loaded it ends.
 */
const STAYS = '-Wl,-z,nodelete';

/** Redirects tfjs-node's calls to src/tensor/native/sessionRun.cc and collectives.cc. */
const TAKEN = ['-Wl,--wrap=TF_SessionRun', '-Wl,--wrap=TFE_NewContext', '-Wl,--wrap=TFE_Execute'];

/**
 * @param {string} root
 * @returns {string} tfjs-node's package, from which the addon is built and into which it is put
 */
function packageFolder(root) {
  return join(modulesFolder(root), '@tensorflow', 'tfjs-node-gpu');
}

/**
 * @param {string} root
 * @returns {import('./pins.mjs').Flavour} of the libtensorflow that the clone is linked to, if any
 */
export function linkedFlavour(root) {
  const target = linkTarget(join(packageFolder(root), 'deps', 'lib', 'libtensorflow_cc.so.2'));
  return target?.includes('/tensorflow-cuda-') ? 'cuda' : 'cpu';
}

/**
 * @param {string} root
 * @param {string} tensorflow the cache entry of libtensorflow
 * @param {string} cache
 * @returns {boolean} true if the links and the addon in the clone are those of the cache
 */
export function addonIsReady(root, tensorflow, cache) {
  const deps = join(packageFolder(root), 'deps');
  const linked = linksOf(tensorflow).every(
    ([name, target]) => linkTarget(join(deps, name)) === target,
  );
  if (!linked) return false;
  const stamp = readStamp(dirname(join(packageFolder(root), ADDON)));
  if (stamp !== sourceDigest(join(root, KERNELS))) return false;
  const [built, placed] = [cachedAddon(root, tensorflow, cache), join(packageFolder(root), ADDON)];
  return existsSync(built) && existsSync(placed) && sha256(built) === sha256(placed);
}

/**
 * Links libtensorflow into tfjs-node's package and puts the addon there, compiled unless cached.
 * @param {string} root
 * @param {string} tensorflow
 * @param {string} cache
 * @param {(text: string) => void} say
 */
export async function ensureAddon(root, tensorflow, cache, say) {
  const home = packageFolder(root);
  await rm(join(home, 'deps'), { recursive: true, force: true });
  await mkdir(join(home, 'deps', 'lib'), { recursive: true });
  for (const [name, target] of linksOf(tensorflow)) await symlink(target, join(home, 'deps', name));
  const built = cachedAddon(root, tensorflow, cache);
  const fresh = !existsSync(built);
  if (fresh) await compile(root, built, cache, say);
  await placeAddon(root, built);
  if (fresh) await assertLoads(root, built);
}

/**
 * Without a stamp between the two steps: a set-up that is killed there leaves an addon that isn't loaded.
 * @param {string} root
 * @param {string} built
 */
async function placeAddon(root, built) {
  const addon = join(packageFolder(root), ADDON);
  const stamp = join(dirname(addon), SOURCE_STAMP);
  await mkdir(dirname(addon), { recursive: true });
  await rm(stamp, { force: true });
  const scratch = `${addon}.${process.pid}`;
  await copyFile(built, scratch);
  await rename(scratch, addon);
  await writeFile(stamp, `${sourceDigest(join(root, KERNELS))}\n`);
}

/**
 * @param {string} tensorflow
 * @returns {[string, string][]} link below deps/ and its target
 */
function linksOf(tensorflow) {
  /** @type {[string, string][]} */
  const links = [['include', join(tensorflow, 'tensorflow', 'include')]];
  for (const name of LIBRARIES) {
    links.push([join('lib', name), join(tensorflow, 'tensorflow', name)]);
  }
  // The file names that -ltensorflow and -ltensorflow_framework make the linker look for.
  links.push([join('lib', 'libtensorflow.so'), 'libtensorflow_cc.so.2']);
  links.push([join('lib', 'libtensorflow_framework.so'), 'libtensorflow_framework.so.2']);
  // libtensorflow's run path is $ORIGIN/../nvidia, and $ORIGIN is the folder it was opened from: deps/lib.
  if (existsSync(join(tensorflow, 'nvidia'))) links.push(['nvidia', join(tensorflow, 'nvidia')]);
  return links;
}

/**
 * @param {string} root
 * @param {string} tensorflow
 * @param {string} cache
 * @returns {string} path of the addon in the cache, named by a hash of everything that it is built from
 */
function cachedAddon(root, tensorflow, cache) {
  const hash = createHash('sha256');
  const binding = join(packageFolder(root), 'binding');
  const flags = [FLAGS, KERNEL_FLAGS, RPATH, STAYS, ...TAKEN];
  hash.update(JSON.stringify([tensorflow.split('/').pop(), process.arch, flags]));
  for (const folder of [binding, join(root, KERNELS)]) {
    for (const name of filesIn(folder)) {
      if (/\.(cc|h)$/.test(name)) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
    }
  }
  return join(cache, 'addon', hash.digest('hex').slice(0, 16), 'tfjs_binding.node');
}

/**
 * @param {string} folder
 * @returns {string[]} paths of the files below it, relative to it
 */
function filesIn(folder) {
  return readdirSync(folder, { encoding: 'utf8', recursive: true }).sort();
}

/**
 * @param {string} root
 * @param {string} built
 * @param {string} cache
 * @param {(text: string) => void} say
 */
async function compile(root, built, cache, say) {
  const home = packageFolder(root);
  const started = Date.now();
  say('addon: compiling tfjs_binding.node');
  await inTemporary(cache, async (scratch) => {
    const entry = join(scratch, 'entry');
    await mkdir(entry);
    const sources = filesIn(join(root, KERNELS)).filter((name) => name.endsWith('.cc'));
    const objects = sources.map((name) => join(scratch, `${name.replaceAll(sep, '-')}.o`));
    await overCores(sources, (name, index) =>
      runCompiler([
        ...KERNEL_FLAGS,
        ...['-I', join(home, 'deps', 'include'), '-I', join(root, KERNELS)],
        ...[join(root, KERNELS, name), '-o', objects[index] ?? ''],
      ]),
    );
    await runCompiler([
      ...FLAGS,
      ...['-pthread', '-I', join(modulesFolder(root), 'node-api-headers', 'include')],
      ...['-I', join(home, 'deps', 'include'), '-I', home],
      ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(home, 'binding', name)),
      ...objects,
      ...['-o', join(entry, 'tfjs_binding.node')],
      ...['-L', join(home, 'deps', 'lib'), '-ltensorflow', '-ltensorflow_framework'],
      ...[RPATH, STAYS, ...TAKEN],
    ]);
    await place(entry, join(built, '..'));
  });
  say(`addon: compiled in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** A compiler takes up to this much memory. */
const COMPILER_BYTES = 1.5 * 2 ** 30;

/**
 * Several at once, as many as the machine has cores and memory for. After a failure none is begun any more.
 * @template T
 * @param {readonly T[]} all
 * @param {(each: T, index: number) => Promise<void>} work
 */
async function overCores(all, work) {
  const most = Math.min(availableParallelism(), Math.floor(freemem() / COMPILER_BYTES));
  const left = [...all.entries()];
  const job = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, each] = next;
      try {
        await work(each, index);
      } catch (error) {
        left.splice(0);
        throw error;
      }
    }
  };
  const jobs = await Promise.allSettled(Array.from({ length: Math.max(1, most) }, job));
  for (const each of jobs) if (each.status === 'rejected') throw each.reason;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[][]} programs with their first arguments: from `CXX` (such as `ccache g++`), else
 * g++, c++ and clang++
 */
export function compilersOf(env) {
  const own = (env.CXX ?? '').trim().split(/\s+/);
  return own[0] ? [own] : [['g++'], ['c++'], ['clang++']];
}

/**
 * Runs `$CXX`, else the first of g++, c++, clang++ that is on the PATH.
 * @param {string[]} args
 * @throws {SetupError} no compiler, or it failed
 */
export async function runCompiler(args) {
  const compilers = compilersOf(process.env);
  for (const [program = '', ...first] of compilers) {
    const { code, output, missing } = await runProgram(program, [...first, ...args]);
    if (missing) continue;
    if (code === 0) return;
    throw new SetupError(
      `${[program, ...first].join(' ')} could not build the addon (exit code ${code}):\n${tail(output)}`,
      'A compiler for C++17 is needed, such as g++ 9 or newer; set CXX to use another one.',
    );
  }
  throw new SetupError(
    `No C++ compiler was found (looked for ${compilers.map((words) => words.join(' ')).join(', ')}).`,
    'Install one: Debian and Ubuntu `apt-get install g++`, Fedora `dnf install gcc-c++`.',
  );
}

/**
 * @param {string} root
 * @param {string} built
 */
async function assertLoads(root, built) {
  const script = 'require("./tfjs_binding.node")';
  const { code, signal, output } = await runProgram(process.execPath, ['-e', script], {
    cwd: join(packageFolder(root), 'lib', 'napi-v8'),
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
  });
  if (code === 0) return;
  await rm(join(built, '..'), { recursive: true, force: true });
  throw new SetupError(
    `The addon was built but does not load (${signal ?? `exit code ${code}`}):\n${tail(output)}`,
    'libtensorflow needs glibc 2.27 or newer and a processor with AVX. `cirkd doctor` reports more.',
  );
}

/**
 * @param {string} path
 * @returns {string | undefined}
 */
function linkTarget(path) {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** @param {string} path */
function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
