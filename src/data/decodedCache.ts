/** Keeps decoded samples within a limit of bytes. */
import type { Sample } from './types.js';

/**
 * What came first stays: epochs visit every sample once, so nothing is gained by evicting one for
 * another, and a cache that evicts the oldest would hit less often than its share of the dataset.
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
