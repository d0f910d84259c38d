/** Which networks have which numeric modes. */
import type { Products } from '../../contract/products.js';
import { CheckpointError } from '../../wire/checkpointError.js';
import { isSegformer } from '../segformer.js';
import { type NetworkSpec, specName } from '../spec.js';

/** Throws CheckpointError if there are no such products for the network. */
export function checkProducts(spec: NetworkSpec, products: Products): void {
  if (products === 'float32' || !isSegformer(spec.model)) return;
  throw new CheckpointError(
    `compute: got ${products} for ${specName(spec)}, wanted float32: the products of SegFormers have no other mode`,
  );
}
