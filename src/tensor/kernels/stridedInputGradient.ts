/**
 * The input gradient of a convolution with a stride, made of those of convolutions without one.
 *
 * N batch, H W input positions, h w output positions, C input channels, K output channels, R S kernel,
 * s stride, p padding.
 *
 * dx[y] sums dy[(y + p - r) / s] W[r] over the taps r for which that is whole. All input rows y = s i + a
 * with one remainder a have the same taps r = s j + b, b = (a + p) mod s, and
 *     dx[s i + a] = sum over j of dy[i + o - j] W[s j + b],  o = (a + p - b) / s:
 * the input gradient of a convolution with those taps and stride 1, read from o on. Columns likewise; the
 * s x s parts are then put together.
 */
import { int32 } from '../create.js';
import { batchToSpace, concat, gather, pad, reshape, slice } from '../ops/shape.js';
import { scope, type Tensor } from '../tensor.js';
import type { ConvolutionGeometry, ConvolutionOps } from './convolutionOps.js';

/** The rows, or columns, of one remainder. */
interface Phase {
  /** The taps that they have, in order. */
  readonly taps: readonly number[];
  /** Where they begin in the gradient of the convolution with these taps. */
  readonly begin: number;
}

/** Whether each remainder has a tap. */
export const hasStridedParts = (
  [rows = 0, columns = 0]: readonly number[],
  { stride, dilation }: ConvolutionGeometry,
): boolean => stride > 1 && dilation === 1 && Math.min(rows, columns) >= stride;

/** By the input gradient of `ops` for stride 1. The kernel must have a tap for each remainder. */
export function stridedInputGradient(
  ops: Pick<ConvolutionOps, 'inputGradient'>,
  inputShape_NHWC: readonly number[],
  weights_RSCK: Tensor,
  dy_NhwK: Tensor,
  { stride, padding }: ConvolutionGeometry,
): Tensor {
  const [images = 0, height = 0, width = 0, channels = 0] = inputShape_NHWC;
  const [, h = 0, w = 0] = dy_NhwK.shape;
  const [taps = 0, across = 0, , outputs = 0] = weights_RSCK.shape;
  const [rows, columns] = [phases(taps, stride, padding), phases(across, stride, padding)];
  const lengths = [Math.ceil(height / stride), Math.ceil(width / stride)] as const;
  return scope(() => {
    const weights_TCK = reshape(weights_RSCK, [taps * across, channels, outputs]);
    const part = (row: Phase, column: Phase) =>
      scope(() => {
        const [r, c] = [row.taps.length, column.taps.length];
        const places = row.taps.flatMap((y) => column.taps.map((x) => y * across + x));
        const some = gather(weights_TCK, int32(places, [places.length]));
        const own_RSCK = reshape(some, [r, c, channels, outputs]);
        const shape = [images, h + r - 1, w + c - 1, channels];
        const geometry = { stride: 1, dilation: 1, padding: 0 };
        const whole = ops.inputGradient(shape, own_RSCK, dy_NhwK, geometry);
        return cut(whole, [row.begin, column.begin], lengths);
      });
    const parts = rows.flatMap((row) => columns.map((column) => part(row, column)));
    const [bottom, right] = [lengths[0] * stride - height, lengths[1] * stride - width];
    return batchToSpace(
      concat(parts, 0),
      [stride, stride],
      [
        [0, bottom],
        [0, right],
      ],
    );
  });
}

function phases(taps: number, stride: number, padding: number): Phase[] {
  return Array.from({ length: stride }, (_, remainder) => {
    const first = (remainder + padding) % stride;
    const own = Array.from({ length: taps }, (_, tap) => tap);
    return {
      taps: own.filter((tap) => tap % stride === first),
      begin: (remainder + padding - first) / stride,
    };
  });
}

/** Rows and columns from `begin` on, of these lengths; zeros beyond the end. */
function cut(
  x_NHWC: Tensor,
  [top, left]: readonly [number, number],
  [height, width]: readonly [number, number],
): Tensor {
  const [images = 0, rows = 0, columns = 0, channels = 0] = x_NHWC.shape;
  const [below, beside] = [Math.max(0, top + height - rows), Math.max(0, left + width - columns)];
  return scope(() => {
    const padded =
      below + beside === 0
        ? x_NHWC
        : pad(x_NHWC, [
            [0, 0],
            [0, below],
            [0, beside],
            [0, 0],
          ]);
    return slice(padded, [0, top, left, 0], [images, height, width, channels]);
  });
}
