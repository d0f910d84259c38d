/** Tensors packed into buckets, since a collective takes a millisecond however small it is. */
import { ops, scope, type Tensor } from '../tensor/index.js';

/** Larger buckets gain nothing, smaller ones cost (docs/distributed.md). */
export const BUCKET_BYTES = 4 * 2 ** 20;

const FLOAT_BYTES = 4;

/** Consecutive tensors or parameters, each bucket of at most `bytes` unless one of them alone is larger. */
export function bucketsOf<Sized extends { readonly size: number }>(
  tensors: readonly Sized[],
  bytes = BUCKET_BYTES,
): Sized[][] {
  const buckets: Sized[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const size = tensor.size * FLOAT_BYTES;
    if (buckets.length === 0 || size > room) {
      buckets.push([]);
      room = bytes;
    }
    buckets.at(-1)!.push(tensor);
    room -= size;
  }
  return buckets;
}

/** The tensors of a bucket as one vector. */
export function packed(bucket: readonly Tensor[]): Tensor {
  return scope(() =>
    ops.concat(
      bucket.map((tensor) => ops.reshape(tensor, [tensor.size])),
      0,
    ),
  );
}

/** The parts of a packed vector, in these shapes. */
export function unpacked(vector: Tensor, shapes: readonly (readonly number[])[]): Tensor[] {
  return scope(() => {
    let at = 0;
    return shapes.map((shape) => {
      const size = shape.reduce((product, length) => product * length, 1);
      const part = ops.reshape(ops.rows(vector, at, size), shape);
      at += size;
      return part;
    });
  });
}

/** Applies `reduce` to the tensors of a bucket as one vector; the results have the tensors' shapes. */
export function asOne(bucket: readonly Tensor[], reduce: (packed: Tensor) => Tensor): Tensor[] {
  return scope(() =>
    unpacked(
      reduce(packed(bucket)),
      bucket.map(({ shape }) => shape),
    ),
  );
}
