/** Both sides must have computed the same, or their times mean nothing. */
import { type Point, pointName } from './points.js';
import type { Measured } from './sideReport.js';

const RELATIVE = 1e-3;

/** Throws Error where loss or gradient differ by more than a thousandth. */
export function assertAgreement(point: Point, a: Measured, b: Measured): void {
  const name = pointName(point);
  assertNear(`${name}: loss`, a.loss, b.loss, Math.abs(b.loss));
  assertNear(`${name}: norm of the gradient`, a.gradientNorm, b.gradientNorm, b.gradientNorm);
  const largest = Math.max(...b.gradientSamples.map(Math.abs));
  b.gradientSamples.forEach((wanted, i) => {
    assertNear(`${name}: element ${i} of the gradient`, a.gradientSamples[i]!, wanted, largest);
  });
}

function assertNear(what: string, got: number, wanted: number, size: number): void {
  // Written so that NaN fails too.
  if (Math.abs(got - wanted) <= RELATIVE * size) return;
  throw new Error(`${what} is ${got} here and ${wanted} in PyTorch`);
}
