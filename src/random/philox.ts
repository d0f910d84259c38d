/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3" (SC 2011): a keyed bijection of 128-bit counters. Key and position
 * determine the draw, so there is no state to save or pass on.
 */

/** The number of rounds that the paper recommends. */
const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
/** The key's Weyl sequence: golden ratio and sqrt(3) - 1. */
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** Upper 32 bits of the 64-bit product of two uint32, by 16-bit halves so that all stays int32. */
function multiplyHigh(a: number, bHigh: number, bLow: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const low = Math.imul(aLow, bLow);
  const middle = (Math.imul(aHigh, bLow) + (low >>> 16)) | 0;
  const cross = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0;
}

/**
 * Encrypts one counter.
 *
 * @param c0 the counter's lowest word, up to c3; int32 or uint32
 * @param k0 the key's lower word; k1 is the upper one
 * @param out receives the four output words at `offset`; a Uint32Array reads them as uint32
 */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array | Int32Array,
  offset = 0,
): void {
  let x0 = c0 | 0;
  let x1 = c1 | 0;
  let x2 = c2 | 0;
  let x3 = c3 | 0;
  let key0 = k0 | 0;
  let key1 = k1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(x0, MULTIPLIER_0 >>> 16, MULTIPLIER_0 & 0xffff);
    const high1 = multiplyHigh(x2, MULTIPLIER_1 >>> 16, MULTIPLIER_1 & 0xffff);
    const low0 = Math.imul(x0, MULTIPLIER_0);
    const low1 = Math.imul(x2, MULTIPLIER_1);
    x0 = high1 ^ x1 ^ key0;
    x1 = low1;
    x2 = high0 ^ x3 ^ key1;
    x3 = low0;
    key0 = (key0 + WEYL_0) | 0;
    key1 = (key1 + WEYL_1) | 0;
  }
  out[offset] = x0;
  out[offset + 1] = x1;
  out[offset + 2] = x2;
  out[offset + 3] = x3;
}
