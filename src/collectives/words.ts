/** Bytes as words of 32 bits, which is how they travel: TensorFlow's collectives know no bytes. */

export const WORD_BYTES = 4;

export function wordsFor(bytes: number): number {
  return Math.ceil(bytes / WORD_BYTES);
}

/** The bytes, followed by zeros. */
export function asWords(bytes: Uint8Array, words: number): Int32Array {
  const padded = new Int32Array(words);
  new Uint8Array(padded.buffer).set(bytes);
  return padded;
}

/** @param first word */
export function bytesAt(words: Int32Array, first: number, length: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + first * WORD_BYTES, length).slice();
}

/** A length has two words, as one ends at 2 GiB. */
const LOW = 2 ** 30;

export function lengthWords(length: number): [number, number] {
  return [length % LOW, Math.floor(length / LOW)];
}

/** Of the first two words. */
export function lengthFrom([low = 0, high = 0]: ArrayLike<number> & Iterable<number>): number {
  return high * LOW + low;
}
