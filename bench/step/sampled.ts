/** What stands for a large tensor in a comparison. */

const SAMPLES = 64;

/** Evenly spread elements; all of them where there are few. */
export function sampled(values: Float32Array): number[] {
  // Odd: even steps would see the same few channels again and again.
  const step = Math.max(1, Math.floor(values.length / SAMPLES) - 1) | 1;
  const count = Math.min(SAMPLES, values.length);
  return Array.from({ length: count }, (_, i) => values[i * step]!);
}

export function euclideanNorm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
}
