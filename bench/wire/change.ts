/** How far one way of sending moves a term: the worst over all batches. */
import type { TermValue } from './termProbe.js';

export interface Change {
  /** |loss - loss in fp32| / |loss in fp32| */
  readonly loss: number;
  /** Cosine between the gradient and that in fp32. */
  readonly cosine: number;
  /** | |gradient| / |gradient in fp32| - 1 | */
  readonly length: number;
}

export const NO_CHANGE: Change = { loss: 0, cosine: 1, length: 0 };

export function changeOf(value: TermValue, exact: TermValue): Change {
  let [dot, own, other] = [0, 0, 0];
  for (const [i, x] of value.gradient.entries()) {
    const y = exact.gradient[i]!;
    dot += x * y;
    own += x * x;
    other += y * y;
  }
  return {
    loss: Math.abs(value.loss - exact.loss) / Math.abs(exact.loss),
    cosine: dot / Math.sqrt(own * other),
    length: Math.abs(Math.sqrt(own / other) - 1),
  };
}

export function worse(a: Change, b: Change): Change {
  return {
    loss: Math.max(a.loss, b.loss),
    cosine: Math.min(a.cosine, b.cosine),
    length: Math.max(a.length, b.length),
  };
}

/** What counts as harmless: every loss within 1 %, every gradient's cosine above 0.999. */
export function isHarmless({ loss, cosine }: Change): boolean {
  return loss < 0.01 && cosine > 0.999;
}
