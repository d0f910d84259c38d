/**
 * IEEE 754 binary16 ⇄ binary32 in plain TypeScript: fast enough for small tensors, and the reference against
 * which native conversions are tested.
 *
 * Method: tables indexed by sign and exponent, after J. van der Zijp, "Fast Half Float Conversions" (2008),
 * with rounding to nearest, ties to even, added for the conversion to half.
 */

/** For each sign and exponent of a float (9 bits): the base to add, the shift, the hidden bit. */
const HALF_BASE = new Uint16Array(512);
const HALF_SHIFT = new Uint8Array(512);
const HALF_HIDDEN = new Uint32Array(512);

/** For each half (16 bits): the bits of the float of the same value. */
const FLOAT_BITS = new Uint32Array(65536);

fillHalfTables();
fillFloatTable();

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Bits of the half nearest to a float, given as bits. NaN becomes a quiet NaN of the same sign. */
function halfBitsFromFloatBits(bits: number): number {
  const index = bits >>> 23;
  const mantissa = bits & 0x7fffff;
  if ((index & 0xff) === 0xff && mantissa !== 0) {
    return ((index & 0x100) << 7) | 0x7e00 | (mantissa >>> 13);
  }
  const shift = HALF_SHIFT[index]!;
  const significand = mantissa | HALF_HIDDEN[index]!;
  // Adding half a unit of the last place minus one, plus the bit that will be last, rounds ties to even.
  // A carry out of the mantissa correctly increments the exponent, possibly to infinity.
  const rounding = (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1);
  return HALF_BASE[index]! + ((significand + rounding) >>> shift);
}

/** Bits of the half nearest to the float32 nearest to `value`. */
export function halfFromFloat(value: number): number {
  scratchFloat[0] = value;
  return halfBitsFromFloatBits(scratchBits[0]!);
}

/** Halves (bits) of the same length, each nearest to its float. */
export function encodeHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    halves[i] = halfBitsFromFloatBits(bits[i]!);
  }
  return halves;
}

/**
 * Floats of the same length with exactly the values of the halves (bits). `values`, if given, is at least as long and gets
 * them at its beginning.
 */
export function decodeHalf(
  halves: Uint16Array,
  values: Float32Array<ArrayBuffer> = new Float32Array(halves.length),
): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, halves.length);
  for (let i = 0; i < halves.length; i++) {
    bits[i] = FLOAT_BITS[halves[i]!]!;
  }
  return values;
}

function fillHalfTables(): void {
  for (let index = 0; index < 512; index++) {
    const sign = (index & 0x100) << 7;
    const exponent = (index & 0xff) - 127;
    // A shift of more than 24 removes the whole significand: the result is zero, or infinity from the base.
    HALF_BASE[index] = sign;
    HALF_SHIFT[index] = 25;
    HALF_HIDDEN[index] = 0;
    if (exponent > 15) {
      HALF_BASE[index] = sign | 0x7c00;
    } else if (exponent >= -14) {
      HALF_BASE[index] = sign | ((exponent + 15) << 10);
      HALF_SHIFT[index] = 13;
    } else if (exponent >= -25) {
      // Denormal halves count in units of 2^-24, the float's significand in 2^(exponent - 23).
      HALF_SHIFT[index] = -exponent - 1;
      HALF_HIDDEN[index] = 0x800000;
    }
  }
}

function fillFloatTable(): void {
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) * 0x10000;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0x1f) {
      FLOAT_BITS[half] = sign + 0x7f800000 + mantissa * 0x2000;
    } else if (exponent > 0) {
      FLOAT_BITS[half] = sign + (exponent + 112) * 0x800000 + mantissa * 0x2000;
    } else if (mantissa === 0) {
      FLOAT_BITS[half] = sign;
    } else {
      // Denormal: value = mantissa * 2^-24, normalised by shifting its leading one out.
      const lead = Math.clz32(mantissa) - 21;
      FLOAT_BITS[half] = sign + (113 - lead) * 0x800000 + ((mantissa << lead) & 0x3ff) * 0x2000;
    }
  }
}
