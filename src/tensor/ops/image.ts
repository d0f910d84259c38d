/** Resizing, channels last. */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

/**
 * Bilinear: [N, h, w, C] to [N, H, W, C], float32. Nothing is smoothed first where it gets smaller.
 *
 * @param alignCorners as in PyTorch's interpolate: true lays the outermost positions of both sizes over
 *   each other, false lays the areas over each other (half-pixel centres, borders repeated)
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

/** Gradient of resizeBilinear with respect to its input; `original` only gives the shape. */
export function resizeBilinearGrad(dy: Tensor, original: Tensor, alignCorners: boolean): Tensor {
  return execute(
    'ResizeBilinearGrad',
    [dy, original],
    [attribute.type('T', original.dtype), ...cornerRule(alignCorners)],
  );
}

function cornerRule(alignCorners: boolean) {
  return [
    attribute.bool('align_corners', alignCorners),
    attribute.bool('half_pixel_centers', !alignCorners),
  ];
}
