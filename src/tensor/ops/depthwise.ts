/**
 * Depthwise convolutions, channels last, one filter a channel; weights_RSC1.
 *
 * On the CPU the addon's kernels (../native/depthwise.cc) do it. TensorFlow's have no dilation here: those
 * for the gradients ignore it. See gradients/depthwiseConvolution.ts for the way round.
 */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';
import { type ConvolutionGeometry, geometryTensor } from './convolution.js';

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

export const nativeDepthwise = (x_NHWC: Tensor, w_RSC1: Tensor, geometry: ConvolutionGeometry) =>
  scope(() => execute('CirkdDepthwise', [x_NHWC, w_RSC1, geometryTensor(geometry)], []));

export function nativeDepthwiseInputGrad(
  inputShape_NHWC: readonly number[],
  w_RSC1: Tensor,
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  const [, height = 0, width = 0] = inputShape_NHWC;
  const numbers = () => geometryTensor(geometry, [height, width]);
  return scope(() => execute('CirkdDepthwiseInputGrad', [dy, w_RSC1, numbers()], []));
}

export function nativeDepthwiseFilterGrad(
  x_NHWC: Tensor,
  filterShape_RSC1: readonly number[],
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  const [rows = 0, columns = 0] = filterShape_RSC1;
  const numbers = () => geometryTensor(geometry, [rows, columns]);
  return scope(() => execute('CirkdDepthwiseFilterGrad', [x_NHWC, dy, numbers()], []));
}
