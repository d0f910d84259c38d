/** Sums of parts that are made one after the other. */
import { Accumulator } from './accumulator.js';
import { zeros } from './create.js';
import { scope, type Tensor } from './tensor.js';

/** The sum, float32 of this shape, of all that `parts` adds; in one buffer, which an error frees. */
export function accumulatedSum(
  shape: readonly number[],
  parts: (add: (part: Tensor) => void) => void,
): Tensor {
  const sum = scope(() => new Accumulator(zeros(shape)));
  try {
    parts((part) => sum.add(part));
  } catch (error) {
    sum.dispose();
    throw error;
  }
  return sum.take();
}

/**
 * Several such sums, of these shapes, whose parts are made together. `parts` gets one function per
 * shape, in order.
 */
export function accumulatedSums(
  shapes: readonly (readonly number[])[],
  parts: (...adds: ((part: Tensor) => void)[]) => void,
): Tensor[] {
  const [shape, ...others] = shapes;
  if (shape === undefined) {
    parts();
    return [];
  }
  let rest: Tensor[] = [];
  const sum = accumulatedSum(shape, (add) => {
    rest = accumulatedSums(others, (...adds) => parts(add, ...adds));
  });
  return [sum, ...rest];
}
