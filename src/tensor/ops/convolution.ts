/**
 * Convolutions, channels last.
 *
 * N batch, H W input positions, C input channels, K output channels, R S kernel; weights_RSCK.
 * Padding is given explicitly and is the same on both sides: TensorFlow's SAME puts the odd
 * row at the end where PyTorch puts it at both.
 *
 * On the CPU the addon's own kernels run (../native/convolution.h): any dilation, on processors too on
 * which TensorFlow's gradients take none, and faster than TensorFlow's (docs/performance.md).
 */
import { isNative } from '../binding.js';
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

export interface ConvolutionGeometry {
  readonly stride: number;
  readonly dilation: number;
  /** Rows and columns of zeros on each side. */
  readonly padding: number;
}

const geometryAttributes = ({ stride, dilation, padding }: ConvolutionGeometry) => [
  attribute.type('T', 'float32'),
  attribute.int('strides', [1, stride, stride, 1]),
  attribute.int('dilations', [1, dilation, dilation, 1]),
  ...(padding === 0
    ? [attribute.string('padding', 'VALID')]
    : [
        attribute.string('padding', 'EXPLICIT'),
        attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
      ]),
  attribute.string('data_format', 'NHWC'),
  attribute.bool('use_cudnn_on_gpu', true),
];

/** What the addon's kernels want: the geometry, and two sizes that shapes don't tell. */
export const geometryTensor = (
  { stride, dilation, padding }: ConvolutionGeometry,
  [rows, columns]: readonly [number, number] = [0, 0],
) => vector([stride, dilation, padding, rows, columns]);

/** [N, H', W', K] */
export function conv2d(x_NHWC: Tensor, w_RSCK: Tensor, geometry: ConvolutionGeometry): Tensor {
  return scope(() =>
    isNative()
      ? execute('CirkdConv2D', [x_NHWC, w_RSCK, geometryTensor(geometry)], [])
      : execute('Conv2D', [x_NHWC, w_RSCK], geometryAttributes(geometry)),
  );
}

export function conv2dInputGrad(
  inputShape_NHWC: readonly number[],
  w_RSCK: Tensor,
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  const [, height = 0, width = 0] = inputShape_NHWC;
  return scope(() =>
    isNative() && geometry.stride === 1
      ? execute('CirkdConv2DInputGrad', [dy, w_RSCK, geometryTensor(geometry, [height, width])], [])
      : execute(
          'Conv2DBackpropInput',
          [vector(inputShape_NHWC), w_RSCK, dy],
          geometryAttributes(geometry),
        ),
  );
}

export function conv2dFilterGrad(
  x_NHWC: Tensor,
  filterShape_RSCK: readonly number[],
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  const [rows = 0, columns = 0] = filterShape_RSCK;
  return scope(() =>
    isNative()
      ? execute(
          'CirkdConv2DFilterGrad',
          [x_NHWC, dy, geometryTensor(geometry, [rows, columns])],
          [],
        )
      : execute(
          'Conv2DBackpropFilter',
          [x_NHWC, vector(filterShape_RSCK), dy],
          geometryAttributes(geometry),
        ),
  );
}

export const biasAdd = (x: Tensor, bias_K: Tensor) =>
  execute(
    'BiasAdd',
    [x, bias_K],
    [attribute.type('T', x.dtype), attribute.string('data_format', 'NHWC')],
  );

export const biasAddGrad = (dy: Tensor) =>
  execute(
    'BiasAddGrad',
    [dy],
    [attribute.type('T', dy.dtype), attribute.string('data_format', 'NHWC')],
  );
