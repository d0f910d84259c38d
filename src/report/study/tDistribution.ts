/**
 * Student's t distribution for whole degrees of freedom, where it is a finite sum (Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 26.7.3 and 26.7.4).
 */

/** Halvings after which an interval of doubles has no more numbers inside. */
const HALVINGS = 200;

/** P(|T| >= |t|) with `freedom` degrees of freedom, an integer of at least 1. */
export function twoSidedP(t: number, freedom: number): number {
  return Math.max(0, 1 - probabilityWithin(Math.abs(t), freedom));
}

/** The t with P(|T| <= t) = `share`, between 0 and 1; 0.95 for a 95 % interval. */
export function tBound(share: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (probabilityWithin(high, freedom) < share) high *= 2;
  for (let i = 0; i < HALVINGS && low < high; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (probabilityWithin(middle, freedom) < share) low = middle;
    else high = middle;
  }
  return high;
}

/** A(t | freedom) = P(|T| <= t), for t of at least 0. */
function probabilityWithin(t: number, freedom: number): number {
  if (!Number.isInteger(freedom) || freedom < 1) {
    throw new RangeError(`freedom: got ${freedom}, wanted an integer of at least 1`);
  }
  const angle = Math.atan2(t, Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = freedom % 2 === 1;
  // Odd: sin (cos + 2/3 cos^3 + ...). Even: sin (1 + 1/2 cos^2 + (1·3)/(2·4) cos^4 + ...).
  let term = isOdd ? cosine : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k < freedom - 1; k += 2) {
    term *= ((k - 1) / k) * cosine ** 2;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}
