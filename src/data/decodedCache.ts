/** A cache of decoded samples, limited in bytes. */
import type { Sample } from './types.js';

/**
 * Never evicts: an epoch visits every sample once, so replacing one sample by another gains nothing, and
 * evicting the oldest would give a hit rate below the cached share of the dataset.
 */
export class DecodedCache {
  readonly #limitBytes: number;
  readonly #samples = new Map<number, Sample>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(index: number): Sample | undefined {
    return this.#samples.get(index);
  }

  offer(index: number, sample: Sample): void {
    const bytes = sample.rgb.byteLength + sample.labels.byteLength;
    if (this.#samples.has(index) || this.#bytes + bytes > this.#limitBytes) return;
    this.#samples.set(index, sample);
    this.#bytes += bytes;
  }
}
