/**
 * The native addon of tfjs-node, below tfjs' own tensor bookkeeping.
 *
 * tfjs' `Tensor` supports neither half nor int8 nor resource dtypes and ties memory to its own tape,
 * whereas the addon's `executeOp` runs any TensorFlow op on plain ids. So this folder opens the addon
 * directly and has its own tensor handles: none of tfjs' JavaScript (280 MB with its back ends and
 * their packages) is loaded or shipped in the container images.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readStamp, sourceDigest } from './native/sourceDigest.mjs';

export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

interface OutputInfo {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

export interface Binding {
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  readonly TF_Version: string;
  createTensor(shape: number[], dtype: number, data: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): ArrayBufferView;
  executeOp(
    name: string,
    attributes: OpAttribute[],
    inputs: number[],
    outputs: number,
  ): OutputInfo[];
  getNumOfTensors(): number;
  /** @param tags joined with commas */
  loadSavedModel(directory: string, tags: string): number;
  /** Names have the form "operation:output", joined with commas; one input name per tensor. */
  runSavedModel(
    id: number,
    inputs: readonly number[],
    inputNames: string,
    outputNames: string,
  ): OutputInfo[];
  deleteSavedModel(id: number): void;
  getNumOfSavedModels(): number;
  isUsingGpuDevice(): boolean;
}

const PACKAGE = '@tensorflow/tfjs-node-gpu';
/** The path at which the set-up installs the addon (services/setup/addon.mjs). */
const ADDON = `${PACKAGE}/lib/napi-v8/tfjs_binding.node`;

/** Where this project's C++ is, from src/tensor/ and from dist/src/tensor/. */
const SOURCES = ['./native/', '../../../src/tensor/native/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

const require = createRequire(import.meta.url);
let opened: Binding | undefined;

/** The addon was built from other sources than those that are there now. Exit code 2. */
export class StaleAddonError extends Error {
  override readonly name = 'StaleAddonError';
}

/**
 * The addon. The first call loads TensorFlow, which reads thread counts from the environment then.
 * Throws StaleAddonError: called with arguments that it doesn't expect, an addon ends the process.
 */
export function binding(): Binding {
  opened ??= openAddon();
  return opened;
}

function openAddon(): Binding {
  const addon = require.resolve(ADDON);
  assertCurrent(dirname(addon), SOURCES);
  return require(addon) as Binding;
}

/**
 * Compares the digest beside the addon with that of the first of the folders that has sources. Without sources
 * (a container image) there is nothing to compare. Throws StaleAddonError.
 */
export function assertCurrent(addonFolder: string, sourceFolders: readonly string[]): void {
  const folder = sourceFolders.find((path) => sourceDigest(path) !== null);
  if (folder === undefined) return;
  const stamp = readStamp(addonFolder);
  if (stamp === sourceDigest(folder)) return;
  const was = stamp === null ? 'an earlier set-up built it' : 'it was built from other sources';
  throw new StaleAddonError(
    `the native addon in ${addonFolder} doesn't fit ${folder} (${was}): run \`npm run setup\`, ` +
      'or `npx cirkd setup` where cirkd is an installed package',
  );
}

/** The device on which TensorFlow's ops run. */
export function device(): 'cpu' | 'gpu' {
  return binding().isUsingGpuDevice() ? 'gpu' : 'cpu';
}

/** Versions and device, for logs and reports. */
export function engineInfo(): { tensorflow: string; tfjs: string; device: 'cpu' | 'gpu' } {
  const { version } = require(`${PACKAGE}/package.json`) as { version: string };
  return { tensorflow: binding().TF_Version, tfjs: version, device: device() };
}
