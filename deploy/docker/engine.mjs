// The native addon and the libraries that it loads: copies, where a clone has links into the cache.
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LIBRARIES } from '../../services/setup/tensorflow.mjs';
import { runInherited } from './runInherited.mjs';

/** Where src/tensor/binding.ts looks for the addon, and the addon's run path for its libraries. */
const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';

/** @returns {string} below an image's root */
export function packageFolder() {
  return PACKAGE;
}

/**
 * @param {string} root the clone, set up
 * @param {string} out
 */
export function placeEngine(root, out) {
  const [from, to] = [join(root, PACKAGE), join(out, PACKAGE)];
  for (const name of ['package.json', 'lib/napi-v8/tfjs_binding.node']) copy(from, to, name);
  for (const name of LIBRARIES) {
    copy(from, to, join('deps/lib', name));
    // A quarter of the file is names for debuggers. The compiler's machine has the program.
    runInherited(to, 'strip', '--strip-unneeded', join('deps/lib', name));
  }
  const nvidia = join(from, 'deps/nvidia');
  if (existsSync(nvidia)) placeCuda(realpathSync(nvidia), join(to, 'deps/nvidia'));
}

/**
 * Of NVIDIA's packages the shared libraries, and what compiles a kernel for a GPU that TensorFlow
 * has none for. No headers, static libraries or profilers.
 * @param {string} from
 * @param {string} to
 */
function placeCuda(from, to) {
  for (const path of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    const wanted = /\.so(\.\d+)*$|\/bin\/ptxas$|\.bc$|licen[cs]e/i.test(path);
    if (wanted) cpSync(join(from, path), join(to, path), { recursive: true });
  }
}

/**
 * @param {string} from
 * @param {string} to
 * @param {string} name
 */
function copy(from, to, name) {
  mkdirSync(dirname(join(to, name)), { recursive: true });
  copyFileSync(join(from, name), join(to, name));
}
