/** Elementwise operations; those with two inputs broadcast like NumPy. */
import type { DType } from '../dtype.js';
import { attribute, execute } from '../execute.js';
import type { Tensor } from '../tensor.js';

const unary = (op: string) => (x: Tensor) => execute(op, [x], [attribute.type('T', x.dtype)]);

const binary = (op: string) => (a: Tensor, b: Tensor) =>
  execute(op, [a, b], [attribute.type('T', a.dtype)]);

export const add = binary('AddV2');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('RealDiv');
export const maximum = binary('Maximum');
export const greater = binary('Greater');
export const greaterEqual = binary('GreaterEqual');
export const less = binary('Less');
export const lessEqual = binary('LessEqual');

export const exp = unary('Exp');
export const sqrt = unary('Sqrt');
/** 1 / sqrt(x). */
export const rsqrt = unary('Rsqrt');
/** The error function. */
export const erf = unary('Erf');
export const square = unary('Square');
export const abs = unary('Abs');
/** To the nearest whole number, ties to even. */
export const round = unary('Round');
export const finite = unary('IsFinite');

/** Elementwise "and" of two bool tensors. */
export const logicalAnd = (a: Tensor, b: Tensor) => execute('LogicalAnd', [a, b], []);

/** a where the condition (bool) holds, otherwise b; all three broadcast. */
export const select = (condition: Tensor, a: Tensor, b: Tensor) =>
  execute('SelectV2', [condition, a, b], [attribute.type('T', a.dtype)]);

/** The sum of tensors with the same shape. */
export function addN(inputs: readonly Tensor[]): Tensor {
  return execute('AddN', inputs, [
    attribute.int('N', inputs.length),
    attribute.type('T', inputs[0]!.dtype),
  ]);
}

export function cast(x: Tensor, dtype: DType): Tensor {
  return execute(
    'Cast',
    [x],
    [
      attribute.type('SrcT', x.dtype),
      attribute.type('DstT', dtype),
      attribute.bool('Truncate', false),
    ],
  );
}

/** Reinterprets the bytes as another dtype; adds or removes the last axis if the widths differ. */
export function bitcast(x: Tensor, dtype: DType): Tensor {
  return execute('Bitcast', [x], [attribute.type('T', x.dtype), attribute.type('type', dtype)]);
}
