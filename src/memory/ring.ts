/** Where new rows go in a queue of fixed size. Pure arithmetic; the rows live elsewhere. */

export interface RingState {
  readonly size: number;
  /** The slot that the next row takes. */
  readonly pointer: number;
  /** Slots 0 … fill - 1 hold rows. */
  readonly fill: number;
}

export interface Placement {
  /** The slot of each new row, in order; a later row replaces an earlier one of the same slot. */
  readonly slots: Int32Array;
  readonly after: RingState;
}

/** ring: oldest rows first. reference: see `placeAtEnd`. */
export type RingWrap = 'ring' | 'reference';

/** Throws RangeError on more rows than slots where the wrap is the reference's. */
export function place(ring: RingState, count: number, wrap: RingWrap): Placement {
  const { size, pointer, fill } = ring;
  if (wrap === 'reference' && pointer + count >= size) return placeAtEnd(ring, count);
  const slots = Int32Array.from({ length: count }, (_, i) => (pointer + i) % size);
  const after = { size, pointer: (pointer + count) % size, fill: Math.min(size, fill + count) };
  return { slots, after };
}

/**
 * The official code's wrap: what would reach the end overwrites the last rows instead, however new
 * they are, and the pointer goes back to 0.
 */
function placeAtEnd({ size }: RingState, count: number): Placement {
  if (count > size) throw new RangeError(`rows: ${count} given, the queue holds ${size}`);
  const slots = Int32Array.from({ length: count }, (_, i) => size - count + i);
  return { slots, after: { size, pointer: 0, fill: size } };
}
