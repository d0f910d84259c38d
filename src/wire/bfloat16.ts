/** bfloat16 is the upper half of a float32. */

/** Floats of the same length with exactly the values of the bfloat16 bits. */
export function widenBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Bits of the bfloat16 nearest to each float, ties to even; NaN stays a NaN. */
export function narrowBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    // Adding to a NaN could carry into an infinity.
    const isNotNumber = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = isNotNumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}
