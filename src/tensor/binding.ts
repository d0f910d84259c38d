/**
 * The native addon of tfjs-node, below tfjs' own tensor bookkeeping.
 *
 * tfjs' `Tensor` knows neither half nor int8 nor resource dtypes and ties memory to its own tape;
 * the addon's `executeOp` runs any TensorFlow op on plain ids. So this folder keeps its own handles
 * on top of the addon that the tfjs backend has opened.
 */
import { createRequire } from 'node:module';

export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

export interface OutputInfo {
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
  isUsingGpuDevice(): boolean;
}

interface TfjsNode {
  backend(): { binding: Binding; isGPUPackage: boolean; isUsingGpuDevice: boolean };
  version: Record<string, string>;
}

let opened: TfjsNode | undefined;

function tfjsNode(): TfjsNode {
  if (opened === undefined) {
    const require = createRequire(import.meta.url);
    opened = require('@tensorflow/tfjs-node-gpu') as TfjsNode;
  }
  return opened;
}

/** The addon; opens TensorFlow at the first call, so thread counts must be in the environment. */
export function binding(): Binding {
  return tfjsNode().backend().binding;
}

/** Versions and device, for logs and reports. */
export function engineInfo(): { tensorflow: string; tfjs: string; device: 'cpu' | 'gpu' } {
  const tf = tfjsNode();
  return {
    tensorflow: tf.backend().binding.TF_Version,
    tfjs: tf.version['tfjs-core'] ?? 'unknown',
    device: tf.backend().isUsingGpuDevice ? 'gpu' : 'cpu',
  };
}

let native: boolean | undefined;

/** Whether the addon's own kernels (native/) run: they are for the CPU. */
export function isNative(): boolean {
  native ??= engineInfo().device === 'cpu';
  return native;
}
