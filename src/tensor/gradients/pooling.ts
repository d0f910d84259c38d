/**
 * Pooling with its gradients, channels last.
 *
 * N batch, H W positions, C channels, P = pooled positions.
 */
import { float32, scalar } from '../create.js';
import { mul } from '../ops/elementwise.js';
import { batchMatMul } from '../ops/linalg.js';
import { type MaxPoolGeometry, maxPool as maxPoolOp, maxPoolGrad } from '../ops/pooling.js';
import { mean } from '../ops/reduce.js';
import { broadcastTo, reshape } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

export function maxPool(tape: Tape, x: Var, geometry: MaxPoolGeometry): Var {
  const y = maxPoolOp(x.value, geometry);
  return tape.record(y, [x], [x.value, y], (dy) => [maxPoolGrad(x.value, y, dy, geometry)]);
}

/** Mean over all positions: [N, H, W, C] -> [N, 1, 1, C]. */
export function globalAveragePool(tape: Tape, x: Var): Var {
  const shape = x.shape;
  const positions = shape[1]! * shape[2]!;
  return tape.record(mean(x.value, [1, 2], true), [x], [], (dy) => [
    broadcastTo(mul(dy, scalar(1 / positions)), shape),
  ]);
}

/** A bin of positions along one axis: [begin, end). */
export type Bin = readonly [number, number];

/** PyTorch's adaptive pooling to size x size: bin i is floor(iN/k) to ceil((i+1)N/k) - 1. */
export function adaptiveAveragePool(tape: Tape, x: Var, size: number): Var {
  if (size === 1) return globalAveragePool(tape, x);
  const bins = (length: number) =>
    Array.from(
      { length: size },
      (_, i): Bin => [Math.floor((i * length) / size), Math.ceil(((i + 1) * length) / size)],
    );
  return binAveragePool(tape, x, bins(x.shape[1]!), bins(x.shape[2]!));
}

/**
 * Mean over windows of size x size, as far apart, no padding: [N, H, W, C] -> [N, ceil(H / size),
 * ceil(W / size), C]. A window that sticks out is averaged over the elements it has.
 */
export function averagePool(tape: Tape, x: Var, size: number): Var {
  const bins = (length: number) =>
    Array.from(
      { length: Math.ceil(length / size) },
      (_, i): Bin => [i * size, Math.min((i + 1) * size, length)],
    );
  return binAveragePool(tape, x, bins(x.shape[1]!), bins(x.shape[2]!));
}

/** Mean over every pair of a bin of rows and a bin of columns: one matrix product an axis. */
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

/** [bins, length]: 1 / n where a position lies in a bin of n, else 0. */
function averages(bins: readonly Bin[], length: number): Tensor {
  const matrix = new Float32Array(bins.length * length);
  for (const [index, [begin, end]] of bins.entries()) {
    matrix.fill(1 / (end - begin), index * length + begin, index * length + end);
  }
  return float32(matrix, [bins.length, length]);
}
