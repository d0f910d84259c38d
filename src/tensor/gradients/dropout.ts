/** Dropout whose mask is a pure function of a seed. */
import { scalar } from '../create.js';
import { cast, greaterEqual, mul } from '../ops/elementwise.js';
import { statelessUniform } from '../ops/random.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

/**
 * Each element is 0 with the given probability, else x / (1 - probability).
 * The mask is kept as a byte an element, a quarter of what the factors would take.
 */
export function dropout(
  tape: Tape,
  x: Var,
  probability: number,
  seed: readonly [number, number],
): Var {
  if (!(probability >= 0 && probability < 1)) {
    throw new Error(`probability: ${probability} given, wanted one in [0, 1)`);
  }
  const { kept, value } = scope(() => {
    const kept = greaterEqual(statelessUniform(x.shape, seed), scalar(probability));
    return { kept, value: masked(x.value, kept, probability) };
  });
  return tape.record(value, [x], [kept], (dy) => [masked(dy, kept, probability)]);
}

function masked(x: Tensor, kept: Tensor, probability: number): Tensor {
  return scope(() => mul(mul(x, cast(kept, 'float32')), scalar(1 / (1 - probability))));
}
