/** Numbers that every rank, and the test, can compute for each rank. */
import { createHash } from 'node:crypto';
import { drawsFor } from '../../../src/random/draws.js';

export function valuesOf(rank: number, size: number): Float32Array {
  const values = new Float32Array(size);
  drawsFor(1, 'test', rank, size).fillUniform(values, -1, 1);
  return values;
}

export const bytesOf = (values: Float32Array) =>
  new Uint8Array(values.buffer, 0, values.byteLength);

export const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
