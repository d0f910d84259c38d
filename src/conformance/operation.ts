/** Inputs and results of an operation under test. An operation implements one `op` of a golden set. */
import type { NamedTensor } from '../wire/safetensors.js';

/** Numbers as stored in a golden file: C order, PyTorch layout (NCHW, OIHW). */
export type HostArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | BigInt64Array
  | Int16Array
  | Int8Array
  | Uint8Array;

export interface HostTensor {
  readonly data: HostArray;
  readonly shape: readonly number[];
  /** The stored form of `data`, for results that must match in dtype and bits, not only in value. */
  readonly stored?: NamedTensor;
}

export interface Float32HostTensor extends HostTensor {
  readonly data: Float32Array;
}

export interface Int32HostTensor extends HostTensor {
  readonly data: Int32Array;
}

/**
 * One case of a golden set. Inputs are read lazily. Every method throws a GoldenError that names the case
 * and the key if the set doesn't hold what was requested.
 */
export interface GoldenCase {
  readonly name: string;
  readonly op: string;
  /** Folder of the set, for operations whose params name a file. */
  readonly directory: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputKeys: readonly string[];
  readonly expectedKeys: readonly string[];
  /** Full shape of an expected tensor, before any subsampling. Reads the set's file. */
  expectedShape(key: string): readonly number[];
  has(inputKey: string): boolean;
  float32(inputKey: string): Float32HostTensor;
  int32(inputKey: string): Int32HostTensor;
  /** A parameter that must be a finite number. */
  number(param: string): number;
  /** A parameter that must be a string. */
  text(param: string): string;
}

export interface OperationOptions {
  /** Rows of a similarity matrix in memory at once; null: all. */
  readonly tileRows: number | null;
}

/** Results by the keys of `expected`, whole (the runner subsamples). Extra keys are ignored. */
export type OperationResult = ReadonlyMap<string, HostTensor>;

/** Result of a case that may be refused with an error, and was: a pass of all its keys. */
export const REFUSED = 'refused';

/** Runs the training code on one case. If it throws, all keys of the case fail. */
export type Operation = (
  golden: GoldenCase,
  options: OperationOptions,
) => OperationResult | typeof REFUSED | Promise<OperationResult>;

/** A fault in a golden set; the message names the case, the key and the fault. */
export class GoldenError extends Error {
  override readonly name = 'GoldenError';
}

/** Thrown by an operation for a case that this program doesn't support, such as an unknown model. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}
