/** Random tensors that are pure functions of a seed. */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

/** Uniform in [0, 1), float32: Philox keyed by two int32, whatever the number of threads. */
export function statelessUniform(
  shape: readonly number[],
  seed: readonly [number, number],
): Tensor {
  return scope(() =>
    execute(
      'StatelessRandomUniform',
      [vector(shape), vector(seed)],
      [
        attribute.type('dtype', 'float32'),
        attribute.type('T', 'int32'),
        attribute.type('Tseed', 'int32'),
      ],
    ),
  );
}
