/** bfloat16 is the upper half of a float32. */

/** Floats of the same length with exactly the values of the bfloat16 bits. */
export function widenBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}
