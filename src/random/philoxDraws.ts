/** Distributions drawn from a Philox stream. */
import { philox4x32 } from './philox.js';
import { partialPermutation } from './permutation.js';

/** A position in one stream. Each call advances it; streams are independent of one another. */
export interface Draws {
  /** In [0, 2^32). */
  uint32(): number;
  /** In [0, 1), a multiple of 2^-32. */
  uniform(): number;
  /** Standard normal, by Box and Muller: two values are made from 64 bits. */
  normal(): number;
  /** Uniform and unbiased in [0, below); `below` is an integer from 1 to 2^53 - 1. */
  integer(below: number): number;
  /** The first `take` entries of a random permutation of 0 … n-1; memory O(take). */
  permutation(n: number, take?: number): Int32Array;
  /** Uniform in [low, high), in steps of (high - low) / 2^24, rounded to float32. */
  fillUniform(out: Float32Array, low: number, high: number): void;
  fillNormal(out: Float32Array, mean: number, std: number): void;
}

const TWO_32 = 0x1_0000_0000;

/** Draws under one key; the counter is (position in blocks of four words, tweak). */
export class PhiloxDraws implements Draws {
  readonly #key0: number;
  readonly #key1: number;
  readonly #tweak0: number;
  readonly #tweak1: number;
  readonly #block = new Uint32Array(4);
  #nextBlock = 0;
  /** How many words of #block have been returned; 4: none are left. */
  #used = 4;
  #spareNormal: number | undefined;

  constructor(key0: number, key1: number, tweak0: number, tweak1: number) {
    this.#key0 = key0;
    this.#key1 = key1;
    this.#tweak0 = tweak0;
    this.#tweak1 = tweak1;
  }

  uint32(): number {
    if (this.#used === 4) {
      this.#encrypt(this.#block);
      this.#used = 0;
    }
    return this.#block[this.#used++]!;
  }

  uniform(): number {
    return this.uint32() / TWO_32;
  }

  normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    // The argument is in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / TWO_32));
    const angle = 2 * Math.PI * (this.uint32() / TWO_32);
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  integer(below: number): number {
    if (!Number.isSafeInteger(below) || below < 1) {
      throw new RangeError(`below: got ${below}, wanted an integer from 1 to 2^53 - 1`);
    }
    const wide = below > TWO_32;
    const range = wide ? 2 ** 53 : TWO_32;
    // Values in the last, incomplete run of `below` would favour small results: they are redrawn.
    const limit = range - (range % below);
    for (;;) {
      const value = wide ? (this.uint32() >>> 11) * TWO_32 + this.uint32() : this.uint32();
      if (value < limit) return value % below;
    }
  }

  permutation(n: number, take = n): Int32Array {
    return partialPermutation(this, n, take);
  }

  fillUniform(out: Float32Array, low: number, high: number): void {
    const step = (high - low) / 2 ** 24;
    const length = out.length;
    let i = 0;
    while (i < length && this.#used < 4) out[i++] = low + (this.uint32() >>> 8) * step;
    const words = this.#block;
    for (; i + 4 <= length; i += 4) {
      this.#encrypt(words);
      out[i] = low + (words[0]! >>> 8) * step;
      out[i + 1] = low + (words[1]! >>> 8) * step;
      out[i + 2] = low + (words[2]! >>> 8) * step;
      out[i + 3] = low + (words[3]! >>> 8) * step;
    }
    while (i < length) out[i++] = low + (this.uint32() >>> 8) * step;
  }

  fillNormal(out: Float32Array, mean: number, std: number): void {
    for (let i = 0; i < out.length; i++) out[i] = mean + std * this.normal();
  }

  #encrypt(out: Uint32Array): void {
    const position = this.#nextBlock++;
    philox4x32(
      position,
      position / TWO_32,
      this.#tweak0,
      this.#tweak1,
      this.#key0,
      this.#key1,
      out,
    );
  }
}
