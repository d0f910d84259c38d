/** Bilinear resizing, channels last, for tensors and on a tape. */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { sum } from './reduce.js';
import { broadcastTo } from './shape.js';

/**
 * [N, h, w, C] to [N, H, W, C], float32. Doesn't antialias when it reduces the size.
 *
 * @param alignCorners as in PyTorch's interpolate. true: the centres of the corner positions of both
 *   sizes coincide; false: the areas coincide (half-pixel centres, borders repeated)
 */
export function resizeBilinear(
  x: Tensor,
  height: number,
  width: number,
  alignCorners: boolean,
): Tensor {
  return scope(() =>
    execute(
      'ResizeBilinear',
      [x, vector([height, width])],
      [attribute.type('T', x.dtype), ...cornerRule(alignCorners)],
    ),
  );
}

/** Gradient of resizeBilinear with respect to its input; only the shape of `original` is used. */
export function resizeBilinearGrad(dy: Tensor, original: Tensor, alignCorners: boolean): Tensor {
  return execute(
    'ResizeBilinearGrad',
    [dy, original],
    [attribute.type('T', original.dtype), ...cornerRule(alignCorners)],
  );
}

/**
 * [N, h, w, C] to [N, height, width, C] like resizeBilinear; a 1x1 map is copied to all positions.
 */
export function resizeBilinearOnTape(
  tape: Tape,
  x: Var,
  { height, width }: { readonly height: number; readonly width: number },
  alignCorners: boolean,
): Var {
  const [batch, h, w, channels] = x.shape as [number, number, number, number];
  if (h === height && w === width) return x;
  if (h === 1 && w === 1) {
    const compute = () => broadcastTo(x.value, [batch, height, width, channels]);
    const backward = (dy: Tensor) => [sum(dy, [1, 2], true)];
    return tape.record(compute(), [x], [], backward, { saved: [x], compute });
  }
  // The gradient's op takes the input, but uses only its shape.
  const resized = resizeBilinear(x.value, height, width, alignCorners);
  return tape.record(resized, [x], [x.value], (dy) => [
    resizeBilinearGrad(dy, x.value, alignCorners),
  ]);
}

function cornerRule(alignCorners: boolean) {
  return [
    attribute.bool('align_corners', alignCorners),
    attribute.bool('half_pixel_centers', !alignCorners),
  ];
}
