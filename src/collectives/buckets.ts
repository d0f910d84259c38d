/** Tensors packed into buckets, since a collective takes a millisecond however small it is. */
import { ops, scope, type Tensor } from '../tensor/index.js';

/** Larger buckets gain nothing, smaller ones cost (docs/distributed.md). */
export const BUCKET_BYTES = 4 * 2 ** 20;

const FLOAT_BYTES = 4;

/** Consecutive tensors, each bucket of at most `bytes` unless one tensor alone is larger. */
export function bucketsOf(tensors: readonly Tensor[], bytes = BUCKET_BYTES): Tensor[][] {
  const buckets: Tensor[][] = [];
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

/** Applies `reduce` to the tensors of a bucket as one vector; the results have the tensors' shapes. */
export function asOne(bucket: readonly Tensor[], reduce: (packed: Tensor) => Tensor): Tensor[] {
  return scope(() => {
    const flat = bucket.map((tensor) => ops.reshape(tensor, [tensor.size]));
    const reduced = reduce(ops.concat(flat, 0));
    let at = 0;
    return bucket.map(({ size, shape }) => {
      const part = ops.reshape(ops.rows(reduced, at, size), shape);
      at += size;
      return part;
    });
  });
}
