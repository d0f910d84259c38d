/**
 * Average pooling over adjacent windows, which the bottom and right edge may cut.
 *
 * N images, H W positions, K channels, w the window. The output has ceil(H/w) x ceil(W/w) positions.
 * Two divisors of a cut window:
 * - averagePool: w^2, as if it were padded with zeros. In front of the mini-batch loss (official
 *   code, v2) the rows are normalised afterwards, so the divisor cancels.
 * - cutAveragePool: the number of positions that it really has, like PyTorch's ceil_mode.
 */
import { float32, ops, scope, type Tape, type Tensor, type Var } from '../tensor/index.js';

/** The window in front of the mini-batch loss. */
const WINDOW = 4;
/** Smallest height and width that are pooled; smaller maps are compared at full resolution. */
const POOLED_FROM = 256;

/** Whether the official v2 code pools a map of this size. */
export const isPooledSize = (height: number, width: number): boolean =>
  height >= POOLED_FROM && width >= POOLED_FROM;

export function averagePool(x_NHWK: Tensor, window = WINDOW): Tensor {
  return scope(() => {
    const [, height = 0, width = 0] = x_NHWK.shape;
    const [bottom, right] = [paddingFor(height, window), paddingFor(width, window)];
    const padded =
      bottom + right === 0
        ? x_NHWK
        : ops.pad(x_NHWK, [
            [0, 0],
            [0, bottom],
            [0, right],
            [0, 0],
          ]);
    return ops.meanPool(padded, window);
  });
}

/** Gradient with respect to the input of the given shape. */
export function averagePoolGrad(
  dy_NhwK: Tensor,
  inputShape_NHWK: readonly number[],
  window = WINDOW,
): Tensor {
  return scope(() => {
    const [n = 0, height = 0, width = 0, channels = 0] = inputShape_NHWK;
    const paddedShape = [
      ...[n, height + paddingFor(height, window)],
      ...[width + paddingFor(width, window), channels],
    ];
    const dx = ops.meanPoolGrad(paddedShape, dy_NhwK, window);
    return ops.slice(dx, [0, 0, 0, 0], inputShape_NHWK);
  });
}

export function cutAveragePool(x_NHWK: Tensor, window: number): Tensor {
  return scope(() => corrected(averagePool(x_NHWK, window), x_NHWK.shape, window));
}

/** Gradient with respect to the input of the given shape. */
export function cutAveragePoolGrad(
  dy_NhwK: Tensor,
  inputShape_NHWK: readonly number[],
  window: number,
): Tensor {
  return scope(() => {
    const dy = corrected(dy_NhwK, inputShape_NHWK, window);
    return averagePoolGrad(dy, inputShape_NHWK, window);
  });
}

export function cutAveragePoolOnTape(tape: Tape, x: Var, window: number): Var {
  const { shape } = x;
  return tape.record(cutAveragePool(x.value, window), [x], [], (dy) => [
    cutAveragePoolGrad(dy, shape, window),
  ]);
}

/** Each pooled position times w^2 / (positions of its window). */
function corrected(x_NhwK: Tensor, inputShape_NHWK: readonly number[], window: number): Tensor {
  const [, height = 0, width = 0] = inputShape_NHWK;
  if (height % window === 0 && width % window === 0) return x_NhwK;
  return scope(() => {
    const factors = (length: number) =>
      Float32Array.from(
        { length: Math.ceil(length / window) },
        (_, i) => window / Math.min(window, length - i * window),
      );
    const [rows, columns] = [factors(height), factors(width)];
    const rows_1h11 = float32(rows, [1, rows.length, 1, 1]);
    const columns_11w1 = float32(columns, [1, 1, columns.length, 1]);
    return ops.mul(x_NhwK, ops.mul(rows_1h11, columns_11w1));
  });
}

const paddingFor = (length: number, window: number) => (window - (length % window)) % window;
