/**
 * Average pooling by 4 in front of the mini-batch loss (official code, v2).
 *
 * N images, H W positions, K channels. The output has ceil(H/4) x ceil(W/4) positions. A window
 * that crosses the bottom or right edge is padded with zeros and still divided by 16: the rows are
 * normalised afterwards, so the divisor cancels.
 */
import { ops, scope, type Tensor } from '../tensor/index.js';

const WINDOW = 4;
/** Smallest height and width that are pooled; smaller maps are compared at full resolution. */
const POOLED_FROM = 256;

/** Whether the official v2 code pools a map of this size. */
export const isPooledSize = (height: number, width: number): boolean =>
  height >= POOLED_FROM && width >= POOLED_FROM;

export function averagePool(x_NHWK: Tensor): Tensor {
  return scope(() => {
    const [, height = 0, width = 0] = x_NHWK.shape;
    const [bottom, right] = [paddingFor(height), paddingFor(width)];
    const padded =
      bottom + right === 0
        ? x_NHWK
        : ops.pad(x_NHWK, [
            [0, 0],
            [0, bottom],
            [0, right],
            [0, 0],
          ]);
    return ops.meanPool(padded, WINDOW);
  });
}

/** Gradient with respect to the input of the given shape. */
export function averagePoolGrad(dy_NhwK: Tensor, inputShape_NHWK: readonly number[]): Tensor {
  return scope(() => {
    const [n = 0, height = 0, width = 0, channels = 0] = inputShape_NHWK;
    const paddedShape = [n, height + paddingFor(height), width + paddingFor(width), channels];
    const dx = ops.meanPoolGrad(paddedShape, dy_NhwK, WINDOW);
    return ops.slice(dx, [0, 0, 0, 0], inputShape_NHWK);
  });
}

const paddingFor = (length: number) => (WINDOW - (length % WINDOW)) % WINDOW;
