/** Compares results with the expected tensors of a golden set. */
import { elementCount, type NamedTensor } from '../wire/safetensors.js';
import type { Subsample } from './goldenSet.js';
import type { HostTensor } from './operation.js';

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

export interface Comparison {
  /** Largest |error| / tolerance over the compared elements; Infinity if the ratio can't be computed. */
  readonly worst: number;
  /** What is wrong, if `worst` alone doesn't show it. */
  readonly reason?: string;
}

/**
 * Compares a whole result with an expected tensor. A subsampled one holds every `stride`-th element from
 * `offset` on. A result passes if `worst <= 1`.
 */
export function compare(
  got: HostTensor,
  expected: HostTensor,
  tolerance: Tolerance,
  subsample: Subsample | undefined,
): Comparison {
  const shape = subsample?.shape ?? expected.shape;
  if (shape.join() !== got.shape.join() || got.data.length !== elementCount(shape)) {
    return failed(`shape [${got.shape}] (${got.data.length} elements), wanted [${shape}]`);
  }
  const { offset, stride } = subsample ?? { offset: 0, stride: 1 };
  const wantedLength = Math.max(0, Math.ceil((got.data.length - offset) / stride));
  if (wantedLength !== expected.data.length) {
    return failed(`${expected.data.length} elements are stored, the subsample has ${wantedLength}`);
  }
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const ratio = errorRatio(got.data[offset + i * stride]!, expected.data[i]!, tolerance);
    if (ratio === Infinity) return failed(describe(got, expected, i, offset + i * stride));
    if (ratio > worst) worst = ratio;
  }
  return { worst };
}

/** Compares dtype, shape and every bit. */
export function compareStored(got: NamedTensor, expected: NamedTensor): Comparison {
  const form = ({ dtype, shape }: NamedTensor) => `${dtype} [${shape}]`;
  if (form(got) !== form(expected)) return failed(`${form(got)}, wanted ${form(expected)}`);
  if (got.data.length !== expected.data.length) {
    return failed(`${got.data.length} bytes, wanted ${expected.data.length}`);
  }
  const wrong = got.data.findIndex((byte, index) => byte !== expected.data[index]);
  if (wrong < 0) return { worst: 0 };
  return failed(`byte ${wrong} is ${got.data[wrong]}, wanted ${expected.data[wrong]}`);
}

/** |got - wanted| / (atol + rtol * |wanted|). NaN matches NaN only. */
function errorRatio(got: number | bigint, wanted: number | bigint, tolerance: Tolerance): number {
  // BigInts beyond 2^53 must not be compared as rounded numbers.
  if (typeof got === typeof wanted && got === wanted) return 0;
  const a = Number(got);
  const b = Number(wanted);
  if (Number.isNaN(a) && Number.isNaN(b)) return 0;
  if (a === b && typeof got !== typeof wanted) return 0;
  const error = Math.abs(a - b);
  if (!Number.isFinite(error)) return Infinity;
  const allowed = tolerance.atol + tolerance.rtol * Math.abs(b);
  if (allowed === 0) return Infinity;
  return error / allowed;
}

function describe(got: HostTensor, expected: HostTensor, i: number, flat: number): string {
  return `element ${flat} is ${got.data[flat]}, wanted ${expected.data[i]}`;
}

function failed(reason: string): Comparison {
  return { worst: Infinity, reason };
}
