/** Answers that are told apart by a number. */
import type { EncodedOutput } from '../../../src/contract/outputs.js';

/** Logits and an int8 embedding with its scales and norms, of 2 x 3 positions. */
export function answer(n: number): EncodedOutput[] {
  const floats = (length: number) => Float32Array.from({ length }, (_, i) => n + i / 64).buffer;
  const rows = Int8Array.from({ length: 2 * 3 * 5 }, (_, i) => (n * 7 + i) % 127).buffer;
  return [
    { output: 'logits', tensor: { dtype: 'fp32', shape: [2, 3, 4], data: floats(24) } },
    { output: 'embedding', tensor: { dtype: 'int8', shape: [2, 3, 5], data: rows } },
    { output: 'embedding_scale', tensor: { dtype: 'fp32', shape: [2, 3], data: floats(6) } },
    { output: 'feature_norm', tensor: { dtype: 'fp32', shape: [2, 3], data: floats(6) } },
  ];
}

/** A key as answerKey makes them. */
export function keyOf(n: number): string {
  return n.toString(16).padStart(64, '0');
}
