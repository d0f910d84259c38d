/** Gradients against central differences of the loss itself. */
import assert from 'node:assert/strict';

/**
 * Asserts |gradient - difference| <= tolerance * (1 + largest |gradient|) at every element.
 *
 * @param lossAt the loss at changed inputs, in double precision where it can be
 * @param step large enough that float32 rounding of the loss, divided by it, stays small
 */
export function assertLossGradient(
  lossAt: (x: Float32Array) => number,
  x: Float32Array,
  gradient: Float32Array,
  { step = 1e-2, tolerance = 2e-3 } = {},
): void {
  assert.equal(gradient.length, x.length);
  const largest = gradient.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  for (let i = 0; i < x.length; i++) {
    const at = (offset: number) => {
      const changed = x.slice();
      changed[i] = x[i]! + offset;
      return lossAt(changed);
    };
    const difference = (at(step) - at(-step)) / (2 * step);
    const error = Math.abs(difference - gradient[i]!);
    assert.ok(
      error <= tolerance * largest + 1e-5,
      `element ${i}: gradient ${gradient[i]}, difference ${difference}, largest ${largest}`,
    );
  }
}
