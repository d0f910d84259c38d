/** Resizing, channels last. */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

/** Bilinear with aligned corners: [N, h, w, C] to [N, H, W, C], float32. */
export function resizeBilinear(x: Tensor, height: number, width: number): Tensor {
  return scope(() =>
    execute(
      'ResizeBilinear',
      [x, vector([height, width])],
      [
        attribute.type('T', x.dtype),
        attribute.bool('align_corners', true),
        attribute.bool('half_pixel_centers', false),
      ],
    ),
  );
}

/** Gradient of resizeBilinear with respect to its input; `original` only gives the shape. */
export function resizeBilinearGrad(dy: Tensor, original: Tensor): Tensor {
  return execute(
    'ResizeBilinearGrad',
    [dy, original],
    [
      attribute.type('T', original.dtype),
      attribute.bool('align_corners', true),
      attribute.bool('half_pixel_centers', false),
    ],
  );
}
