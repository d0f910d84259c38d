/**
 * Pooling, channels last: on a tape, and mean pooling of tensors.
 *
 * N batch, H W positions, C channels, P = pooled positions.
 */
import { float32, scalar, vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { mul } from './elementwise.js';
import { batchMatMul } from './linalg.js';
import { mean } from './reduce.js';
import { broadcastTo, reshape } from './shape.js';

/** Mean over all positions: [N, H, W, C] -> [N, 1, 1, C]. */
export function globalAveragePool(tape: Tape, x: Var): Var {
  const shape = x.shape;
  const positions = shape[1]! * shape[2]!;
  return tape.record(mean(x.value, [1, 2], true), [x], [], (dy) => [
    broadcastTo(mul(dy, scalar(1 / positions)), shape),
  ]);
}

/** A bin of positions along one axis: [begin, end). */
type Bin = readonly [number, number];

/** PyTorch's adaptive pooling to size x size: bin i of k covers floor(iN/k) to ceil((i+1)N/k) - 1. */
export function adaptiveAveragePool(tape: Tape, x: Var, size: number): Var {
  if (size === 1) return globalAveragePool(tape, x);
  const bins = (length: number) =>
    Array.from(
      { length: size },
      (_, i): Bin => [Math.floor((i * length) / size), Math.ceil(((i + 1) * length) / size)],
    );
  return binAveragePool(tape, x, bins(x.shape[1]!), bins(x.shape[2]!));
}

/** Mean over each combination of row bin and column bin, by one matrix product per axis. */
function binAveragePool(tape: Tape, x: Var, rows: readonly Bin[], columns: readonly Bin[]): Var {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const forward = (x_NHWC: Tensor) => {
    const rowsPooled = batchMatMul(
      averages(rows, height),
      reshape(x_NHWC, [batch, height, width * channels]),
    );
    const pooled = batchMatMul(
      averages(columns, width),
      reshape(rowsPooled, [batch * rows.length, width, channels]),
    );
    return reshape(pooled, [batch, rows.length, columns.length, channels]);
  };
  const backward = (dy: Tensor) => {
    const columnsSpread = batchMatMul(
      averages(columns, width),
      reshape(dy, [batch * rows.length, columns.length, channels]),
      { transposeA: true },
    );
    const spread = batchMatMul(
      averages(rows, height),
      reshape(columnsSpread, [batch, rows.length, width * channels]),
      { transposeA: true },
    );
    return reshape(spread, [batch, height, width, channels]);
  };
  return tape.record(
    scope(() => forward(x.value)),
    [x],
    [],
    (dy) => [backward(dy)],
  );
}

/** [bins, length]: 1 / n where the position lies in a bin of n positions, otherwise 0. */
function averages(bins: readonly Bin[], length: number): Tensor {
  const matrix = new Float32Array(bins.length * length);
  for (const [index, [begin, end]] of bins.entries()) {
    matrix.fill(1 / (end - begin), index * length + begin, index * length + end);
  }
  return float32(matrix, [bins.length, length]);
}

const meanAttributes = (window: number) => [
  attribute.type('T', 'float32'),
  attribute.int('ksize', [1, window, window, 1]),
  attribute.int('strides', [1, window, window, 1]),
  attribute.string('padding', 'VALID'),
  attribute.string('data_format', 'NHWC'),
];

/** Means over adjacent windows; rows and columns beyond the last whole window are left out. */
export function meanPool(x_NHWC: Tensor, window: number): Tensor {
  return execute('AvgPool', [x_NHWC], meanAttributes(window));
}

/** Gradient with respect to the input of the given shape. */
export function meanPoolGrad(
  inputShape_NHWC: readonly number[],
  dy_NhwC: Tensor,
  window: number,
): Tensor {
  return execute('AvgPoolGrad', [vector(inputShape_NHWC), dy_NhwC], meanAttributes(window));
}

/** For windows that the bottom or right edge cuts: TensorFlow's SAME pads the end only. */
const cutMaxAttributes = (window: number) => [
  attribute.type('T', 'float32'),
  attribute.int('ksize', [1, window, window, 1]),
  attribute.int('strides', [1, window, window, 1]),
  attribute.string('padding', 'SAME'),
  attribute.string('data_format', 'NHWC'),
];

/** Maxima over adjacent windows, [N, ceil(H / window), ceil(W / window), C]; the last may be cut. */
export function cutMaxPool(x_NHWC: Tensor, window: number): Tensor {
  return execute('MaxPool', [x_NHWC], cutMaxAttributes(window));
}

/** Gradient with respect to x, given x, its pooled map and the gradient with respect to that. */
export function cutMaxPoolGrad(
  x_NHWC: Tensor,
  pooled_NhwC: Tensor,
  dy_NhwC: Tensor,
  window: number,
): Tensor {
  return execute('MaxPoolGrad', [x_NHWC, pooled_NhwC, dy_NhwC], cutMaxAttributes(window));
}
