/** Answers that are told apart by a number. */
import type { EncodedOutput } from '../../../src/contract/outputs.js';

/** Logits and an int8 embedding with its scales and norms. */
export function answer(n: number, positions = 6): EncodedOutput[] {
  const floats = (length: number) =>
    Float32Array.from({ length }, (_, i) => n + (i % 997) / 64).buffer;
  const rows = Int8Array.from({ length: positions * 5 }, (_, i) => (n * 7 + i) % 127).buffer;
  const shape = [2, positions / 2];
  return [
    {
      output: 'logits',
      tensor: { dtype: 'fp32', shape: [...shape, 4], data: floats(positions * 4) },
    },
    { output: 'embedding', tensor: { dtype: 'int8', shape: [...shape, 5], data: rows } },
    { output: 'embedding_scale', tensor: { dtype: 'fp32', shape, data: floats(positions) } },
    { output: 'feature_norm', tensor: { dtype: 'fp32', shape, data: floats(positions) } },
  ];
}

/** A key as answerKey makes them. */
export function keyOf(n: number): string {
  return n.toString(16).padStart(64, '0');
}
