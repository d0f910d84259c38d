/**
 * The native addon of tfjs-node, below tfjs' own tensor bookkeeping.
 *
 * tfjs' `Tensor` supports neither half nor int8 nor resource dtypes and ties memory to its own tape,
 * whereas the addon's `executeOp` runs any TensorFlow op on plain ids. So this folder opens the addon
 * directly and has its own tensor handles: none of tfjs' JavaScript (280 MB with its back ends and
 * their packages) is loaded or shipped in the container images.
 */
import { createRequire } from 'node:module';

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

const require = createRequire(import.meta.url);
let opened: Binding | undefined;

/** The addon. The first call loads TensorFlow, which reads thread counts from the environment then. */
export function binding(): Binding {
  opened ??= require(ADDON) as Binding;
  return opened;
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
