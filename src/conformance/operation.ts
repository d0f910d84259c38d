/** What an operation under test gets and gives. One operation is one `op` of a golden set. */
import type { NamedTensor } from '../wire/safetensors.js';

/** Numbers as they lie in a golden file: C order, PyTorch layout (NCHW, OIHW). */
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
  /** Where dtype and bits count, not numbers alone: what `data` was made from. */
  readonly stored?: NamedTensor;
}

export interface Float32HostTensor extends HostTensor {
  readonly data: Float32Array;
}

export interface Int32HostTensor extends HostTensor {
  readonly data: Int32Array;
}

/**
 * One case of a golden set. Inputs are read when they are asked for. Every method throws a
 * GoldenError that names the case and the key if the set doesn't hold what was asked for.
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
  /** Rows of a similarity matrix that are in memory at once; null: all of them. */
  readonly tileRows: number | null;
}

/** Results by the keys of `expected`, whole (the runner subsamples). Extra keys are ignored. */
export type OperationResult = ReadonlyMap<string, HostTensor>;

/** Of a case that may be refused with an error, and was: counts as a pass of all its keys. */
export const REFUSED = 'refused';

/** Runs the code that trains on one case. What it throws counts as a failure of the case's keys. */
export type Operation = (
  golden: GoldenCase,
  options: OperationOptions,
) => OperationResult | typeof REFUSED | Promise<OperationResult>;

/** A golden set that is not what it should be: names the case, the key and the fault. */
export class GoldenError extends Error {
  override readonly name = 'GoldenError';
}

/** Thrown by an operation for a case of a kind that this program doesn't have, such as a model. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}
