/** Pooling over windows, channels last. */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import type { Tensor } from '../tensor.js';

export interface MaxPoolGeometry {
  readonly window: number;
  readonly stride: number;
  /** Rows and columns on each side that never win. */
  readonly padding: number;
}

const geometryAttributes = ({ window, stride, padding }: MaxPoolGeometry) => [
  attribute.type('T', 'float32'),
  attribute.int('ksize', [1, window, window, 1]),
  attribute.int('strides', [1, stride, stride, 1]),
  attribute.string('data_format', 'NHWC'),
  ...(padding === 0
    ? [attribute.string('padding', 'VALID')]
    : [
        attribute.string('padding', 'EXPLICIT'),
        attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
      ]),
];

export function maxPool(x_NHWC: Tensor, geometry: MaxPoolGeometry): Tensor {
  return execute('MaxPool', [x_NHWC], geometryAttributes(geometry));
}

/** From the pooling's input x and output y. */
export function maxPoolGrad(x: Tensor, y: Tensor, dy: Tensor, geometry: MaxPoolGeometry): Tensor {
  return execute('MaxPoolGrad', [x, y, dy], geometryAttributes(geometry));
}

const meanAttributes = (window: number) => [
  attribute.type('T', 'float32'),
  attribute.int('ksize', [1, window, window, 1]),
  attribute.int('strides', [1, window, window, 1]),
  attribute.string('padding', 'VALID'),
  attribute.string('data_format', 'NHWC'),
];

/** Means over windows side by side; rows and columns that fill none are left out. */
export function meanPool(x_NHWC: Tensor, window: number): Tensor {
  return execute('AvgPool', [x_NHWC], meanAttributes(window));
}

/** From the shape of the pooling's input. */
export function meanPoolGrad(
  inputShape_NHWC: readonly number[],
  dy_NhwC: Tensor,
  window: number,
): Tensor {
  return execute('AvgPoolGrad', [vector(inputShape_NHWC), dy_NhwC], meanAttributes(window));
}
