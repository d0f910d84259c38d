/** Reductions over axes. */
import { int32, vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

const reduction =
  (op: string) =>
  (x: Tensor, axes: readonly number[], keepDims = false): Tensor =>
    scope(() =>
      execute(
        op,
        [x, vector(axes)],
        [
          attribute.bool('keep_dims', keepDims),
          attribute.type('T', x.dtype),
          attribute.type('Tidx', 'int32'),
        ],
      ),
    );

export const sum = reduction('Sum');
export const mean = reduction('Mean');
export const max = reduction('Max');

/** true where all elements along the axes are true (bool input). */
export function all(x: Tensor, axes: readonly number[]): Tensor {
  return scope(() =>
    execute(
      'All',
      [x, vector(axes)],
      [attribute.bool('keep_dims', false), attribute.type('Tidx', 'int32')],
    ),
  );
}

/** Index of the largest element along an axis, the first of equals; int32. */
export function argMax(x: Tensor, axis: number): Tensor {
  return scope(() =>
    execute(
      'ArgMax',
      [x, int32([axis], [])],
      [
        attribute.type('T', x.dtype),
        attribute.type('Tidx', 'int32'),
        attribute.type('output_type', 'int32'),
      ],
    ),
  );
}

/** Half the sum of squares, a scalar. */
export function l2Loss(x: Tensor): Tensor {
  return execute('L2Loss', [x], [attribute.type('T', x.dtype)]);
}
