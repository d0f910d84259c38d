/**
 * Depthwise convolutions, channels last, one filter a channel; weights_RSC1.
 *
 * Dilation isn't offered here: TensorFlow's CPU kernels for the gradients ignore it. See
 * gradients/depthwiseConvolution.ts for the way round.
 */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

export interface DepthwiseGeometry {
  readonly stride: number;
  /** Rows and columns of zeros on each side. */
  readonly padding: number;
}

const geometryAttributes = ({ stride, padding }: DepthwiseGeometry) => [
  attribute.type('T', 'float32'),
  attribute.int('strides', [1, stride, stride, 1]),
  attribute.int('dilations', [1, 1, 1, 1]),
  attribute.string('data_format', 'NHWC'),
  ...(padding === 0
    ? [attribute.string('padding', 'VALID')]
    : [
        attribute.string('padding', 'EXPLICIT'),
        attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
      ]),
];

export function depthwiseConv2d(x_NHWC: Tensor, w_RSC1: Tensor, geometry: DepthwiseGeometry) {
  return execute('DepthwiseConv2dNative', [x_NHWC, w_RSC1], geometryAttributes(geometry));
}

export function depthwiseConv2dInputGrad(
  inputShape_NHWC: readonly number[],
  w_RSC1: Tensor,
  dy: Tensor,
  geometry: DepthwiseGeometry,
): Tensor {
  return scope(() =>
    execute(
      'DepthwiseConv2dNativeBackpropInput',
      [vector(inputShape_NHWC), w_RSC1, dy],
      geometryAttributes(geometry),
    ),
  );
}

export function depthwiseConv2dFilterGrad(
  x_NHWC: Tensor,
  filterShape_RSC1: readonly number[],
  dy: Tensor,
  geometry: DepthwiseGeometry,
): Tensor {
  return scope(() =>
    execute(
      'DepthwiseConv2dNativeBackpropFilter',
      [x_NHWC, vector(filterShape_RSC1), dy],
      geometryAttributes(geometry),
    ),
  );
}
