/**
 * Quantises rows to int8 with one scale per row: a quarter of float32's bytes.
 *
 * R rows, D channels, W = ceil(R * D / 4), N parts.
 *
 *     scale = max |x| / 127,  q = round(x / scale) in -127..127,  x ~ q * scale
 *
 * The addon's two kernels: ../native/rowQuantisation.cc.
 */
import { fill, scalar } from '../create.js';
import { attribute, execute, executeAll } from '../execute.js';
import {
  abs,
  add,
  bitcast,
  cast,
  div,
  greaterEqual,
  lessEqual,
  logicalAnd,
  mul,
  round,
  select,
  sub,
} from '../ops/elementwise.js';
import { max, sum } from '../ops/reduce.js';
import { concat, reshape } from '../ops/shape.js';
import { scope, type Tensor } from '../tensor.js';

export interface QuantisedRows {
  /** int32 [W]: the bytes of q, row after row, padded with zeros to a whole word. */
  readonly packed_W: Tensor;
  /** float32 [R]; 0 for a row of zeros, NaN for a row with NaN or infinity. */
  readonly scale_R: Tensor;
}

export interface RowQuantisation {
  /** @param x_RD float32 */
  quantise(x_RD: Tensor): QuantisedRows;
  /**
   * float32 [N * R, D], one part after the other, from the bytes of q as N times uint8 [R, D] and as many
   * scales float32 [R]. A row with a scale that no unit row can have (outside of 0..1, or NaN) becomes NaN.
   */
  dequantise(q_RD: readonly Tensor[], scale_R: readonly Tensor[]): Tensor;
}

const STEPS = 127;
/** Rows with a smaller peak become zero: their scale would be a denormal float32. */
const SMALLEST_PEAK = STEPS * 2 ** -126;

/** CPU only. */
export const nativeQuantisation: RowQuantisation = {
  quantise(x_RD) {
    const [packed_W, scale_R] = executeAll('CirkdQuantizeRows', [x_RD], [], 2);
    return { packed_W: packed_W!, scale_R: scale_R! };
  },
  dequantise: (q_RD, scale_R) =>
    execute('CirkdDequantizeRows', [...q_RD, ...scale_R], [attribute.int('N', q_RD.length)]),
};

/** Composed of TensorFlow's ops; any device. */
export const composedQuantisation: RowQuantisation = {
  quantise(x_RD) {
    return scope(() => {
      const [rows = 0] = x_RD.shape;
      // 0 for finite rows, otherwise NaN.
      const broken_R1 = sum(sub(x_RD, x_RD), [1], true);
      const peak_R1 = max(abs(x_RD), [1], true);
      const isRow_R1 = greaterEqual(peak_R1, scalar(SMALLEST_PEAK));
      const orZero = (value_R1: Tensor) => select(isRow_R1, value_R1, scalar(0));
      const scale_R1 = add(orZero(div(peak_R1, scalar(STEPS))), broken_R1);
      const stepsPerUnit_R1 = orZero(div(scalar(STEPS), peak_R1));
      const q_RD = round(mul(x_RD, stepsPerUnit_R1));
      return { packed_W: packed(q_RD), scale_R: reshape(scale_R1, [rows]) };
    });
  },
  dequantise(q_parts, scale_parts) {
    return scope(() => {
      const [q_RD, scale_R] = [concat(q_parts, 0), concat(scale_parts, 0)];
      const [rows = 0] = q_RD.shape;
      const isUnit_R = logicalAnd(greaterEqual(scale_R, scalar(0)), lessEqual(scale_R, scalar(1)));
      const valid_R = select(isUnit_R, scale_R, scalar(Number.NaN));
      return mul(cast(bitcast(q_RD, 'int8'), 'float32'), reshape(valid_R, [rows, 1]));
    });
  },
};

/** Packs integers in -127..127 as bytes, four per word. */
function packed(q: Tensor): Tensor {
  const { size } = q;
  const flat = reshape(q, [size]);
  const missing = (4 - (size % 4)) % 4;
  const whole = missing === 0 ? flat : concat([flat, fill([missing], 0)], 0);
  const bytes = reshape(cast(whole, 'int8'), [whole.size / 4, 4]);
  return bitcast(bytes, 'int32');
}
