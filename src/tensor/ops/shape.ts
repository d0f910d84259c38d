/** Rearranges elements without arithmetic. Axes count from 0; negative axes aren't supported. */
import { int32, vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

/** The same elements with another shape; shares the memory. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return scope(() =>
    execute(
      'Reshape',
      [x, vector(shape)],
      [attribute.type('T', x.dtype), attribute.type('Tshape', 'int32')],
    ),
  );
}

export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  return scope(() =>
    execute(
      'Transpose',
      [x, vector(permutation)],
      [attribute.type('T', x.dtype), attribute.type('Tperm', 'int32')],
    ),
  );
}

export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  // TensorFlow's op needs at least two inputs.
  if (inputs.length === 1) return reshape(inputs[0]!, inputs[0]!.shape);
  return scope(() =>
    execute(
      'ConcatV2',
      [...inputs, int32([axis], [])],
      [
        attribute.int('N', inputs.length),
        attribute.type('T', inputs[0]!.dtype),
        attribute.type('Tidx', 'int32'),
      ],
    ),
  );
}

/** The block of `size` that begins at `begin`; -1 in `size` means up to the end. */
export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  return scope(() =>
    execute(
      'Slice',
      [x, vector(begin), vector(size)],
      [attribute.type('T', x.dtype), attribute.type('Index', 'int32')],
    ),
  );
}

/** Rows [begin, begin + count) of the first axis. */
export function rows(x: Tensor, begin: number, count: number): Tensor {
  const rest = x.shape.slice(1);
  return slice(x, [begin, ...rest.map(() => 0)], [count, ...rest]);
}

/** Pads with zeros; `paddings` has one [before, after] per axis. */
export function pad(x: Tensor, paddings: readonly (readonly [number, number])[]): Tensor {
  return scope(() =>
    execute(
      'Pad',
      [x, int32(paddings.flat(), [paddings.length, 2])],
      [attribute.type('T', x.dtype), attribute.type('Tpaddings', 'int32')],
    ),
  );
}

/** Slices of `x` along `axis` at int32 `indices`; an index out of range is an error on the CPU. */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  return scope(() =>
    execute(
      'GatherV2',
      [x, indices, int32([axis], [])],
      [
        attribute.type('Tparams', x.dtype),
        attribute.type('Tindices', 'int32'),
        attribute.type('Taxis', 'int32'),
        attribute.int('batch_dims', 0),
      ],
    ),
  );
}

export function broadcastTo(x: Tensor, shape: readonly number[]): Tensor {
  return scope(() =>
    execute(
      'BroadcastTo',
      [x, vector(shape)],
      [attribute.type('T', x.dtype), attribute.type('Tidx', 'int32')],
    ),
  );
}

/** Row i of the result is the sum of the rows of `data` with id i (int32); negative ids are dropped. */
export function unsortedSegmentSum(data: Tensor, ids: Tensor, count: number): Tensor {
  return scope(() =>
    execute(
      'UnsortedSegmentSum',
      [data, ids, int32([count], [])],
      [
        attribute.type('T', data.dtype),
        attribute.type('Tindices', 'int32'),
        attribute.type('Tnumsegments', 'int32'),
      ],
    ),
  );
}

export function spaceToBatch(
  x: Tensor,
  block: readonly [number, number],
  paddings: readonly (readonly [number, number])[],
): Tensor {
  return scope(() =>
    execute(
      'SpaceToBatchND',
      [x, vector(block), int32(paddings.flat(), [2, 2])],
      [
        attribute.type('T', x.dtype),
        attribute.type('Tblock_shape', 'int32'),
        attribute.type('Tpaddings', 'int32'),
      ],
    ),
  );
}

export function batchToSpace(
  x: Tensor,
  block: readonly [number, number],
  crops: readonly (readonly [number, number])[],
): Tensor {
  return scope(() =>
    execute(
      'BatchToSpaceND',
      [x, vector(block), int32(crops.flat(), [2, 2])],
      [
        attribute.type('T', x.dtype),
        attribute.type('Tblock_shape', 'int32'),
        attribute.type('Tcrops', 'int32'),
      ],
    ),
  );
}
