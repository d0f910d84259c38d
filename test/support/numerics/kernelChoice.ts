/**
 * Prints as JSON whether importing src/tensor opens TensorFlow, and which kernels are chosen then. A program
 * of its own: both happen once per process. With the argument `gpu` the addon says that ops run on one.
 */
import { createRequire } from 'node:module';
import { composedKernels, kernels, nativeKernels } from '../../../src/tensor/index.js';

const require = createRequire(import.meta.url);
const addon = require.resolve('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
const openedByImport = require.cache[addon] !== undefined;
if (process.argv[2] === 'gpu') {
  const opened: object = require(addon);
  // Its own properties can't be changed.
  require.cache[addon]!.exports = Object.create(opened, {
    isUsingGpuDevice: { value: () => true },
  });
}
const chosen = kernels();
const name = new Map([
  [nativeKernels, 'native'],
  [composedKernels, 'composed'],
]).get(chosen);
const stays = kernels() === chosen;
process.stdout.write(`${JSON.stringify({ openedByImport, name, stays })}\n`);
