/** Bilinear resizing and its gradient. */
import { resizeBilinear as resizeOp, resizeBilinearGrad } from '../ops/image.js';
import { sum } from '../ops/reduce.js';
import { broadcastTo } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';

/**
 * [N, h, w, C] to [N, height, width, C], see ops.resizeBilinear; a 1x1 map is spread over all positions.
 */
export function resizeBilinear(
  tape: Tape,
  x: Var,
  { height, width }: { readonly height: number; readonly width: number },
  alignCorners: boolean,
): Var {
  const [batch, h, w, channels] = x.shape as [number, number, number, number];
  if (h === height && w === width) return x;
  if (h === 1 && w === 1) {
    const spread = broadcastTo(x.value, [batch, height, width, channels]);
    return tape.record(spread, [x], [], (dy) => [sum(dy, [1, 2], true)]);
  }
  // The gradient's op wants the input, but for its shape only.
  const resized = resizeOp(x.value, height, width, alignCorners);
  return tape.record(resized, [x], [x.value], (dy) => [
    resizeBilinearGrad(dy, x.value, alignCorners),
  ]);
}
