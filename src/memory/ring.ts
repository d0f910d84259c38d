/** Decides where new rows go in a queue of fixed size. Pure arithmetic: rowStore.ts has the rows. */

export interface RingState {
  readonly size: number;
  /** The slot for the next row. */
  readonly pointer: number;
  /** Slots 0 … fill - 1 hold rows. */
  readonly fill: number;
}

export interface Placement {
  /** The slot of each new row, in order; a later row replaces an earlier one in the same slot. */
  readonly slots: Int32Array;
  readonly after: RingState;
}

/** ring: the oldest rows are overwritten first. reference: see `placeAtEnd`. */
export type RingWrap = 'ring' | 'reference';

/** Throws RangeError on more rows than slots if `wrap` is reference. */
export function place(ring: RingState, count: number, wrap: RingWrap): Placement {
  const { size, pointer, fill } = ring;
  if (wrap === 'reference' && pointer + count >= size) return placeAtEnd(ring, count);
  const slots = Int32Array.from({ length: count }, (_, i) => (pointer + i) % size);
  const after = { size, pointer: (pointer + count) % size, fill: Math.min(size, fill + count) };
  return { slots, after };
}

/**
 * The official code's wrap: rows that would reach the end overwrite the last slots instead, however
 * new their contents are, and the pointer returns to 0.
 */
function placeAtEnd({ size }: RingState, count: number): Placement {
  if (count > size) throw new RangeError(`rows: ${count} given, the queue holds ${size}`);
  const slots = Int32Array.from({ length: count }, (_, i) => size - count + i);
  return { slots, after: { size, pointer: 0, fill: size } };
}
