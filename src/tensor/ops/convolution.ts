/**
 * Convolutions, channels last.
 *
 * N batch, H W input positions, C input channels, K output channels, R S kernel; weights_RSCK.
 * Padding is given explicitly and is the same on both sides: TensorFlow's SAME puts the odd
 * row at the end where PyTorch puts it at both.
 */
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

export interface ConvolutionGeometry {
  readonly stride: number;
  readonly dilation: number;
  /** Rows and columns of zeros on each side; 'same' (stride 1, odd kernels): keeps the size. */
  readonly padding: number | 'same';
}

/**
 * With stride 1 and padding that keeps the size, SAME is symmetric too: said so, the op goes to
 * oneDNN, whose gradients are several times as fast and know dilation; explicit padding never does.
 */
const geometryAttributes = (
  { stride, dilation, padding }: ConvolutionGeometry,
  filterShape: readonly number[],
) => {
  const keepsSize =
    padding === 'same' ||
    (stride === 1 && [0, 1].every((axis) => 2 * padding === dilation * (filterShape[axis]! - 1)));
  return [
    attribute.type('T', 'float32'),
    attribute.int('strides', [1, stride, stride, 1]),
    attribute.int('dilations', [1, dilation, dilation, 1]),
    ...(padding === 0
      ? [attribute.string('padding', 'VALID')]
      : keepsSize
        ? [attribute.string('padding', 'SAME')]
        : [
            attribute.string('padding', 'EXPLICIT'),
            attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
          ]),
    attribute.string('data_format', 'NHWC'),
    attribute.bool('use_cudnn_on_gpu', true),
  ];
};

export function conv2d(x_NHWC: Tensor, w_RSCK: Tensor, geometry: ConvolutionGeometry): Tensor {
  return execute('Conv2D', [x_NHWC, w_RSCK], geometryAttributes(geometry, w_RSCK.shape));
}

export function conv2dInputGrad(
  inputShape_NHWC: readonly number[],
  w_RSCK: Tensor,
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  return scope(() =>
    execute(
      'Conv2DBackpropInput',
      [vector(inputShape_NHWC), w_RSCK, dy],
      geometryAttributes(geometry, w_RSCK.shape),
    ),
  );
}

export function conv2dFilterGrad(
  x_NHWC: Tensor,
  filterShape_RSCK: readonly number[],
  dy: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  return scope(() =>
    execute(
      'Conv2DBackpropFilter',
      [x_NHWC, vector(filterShape_RSCK), dy],
      geometryAttributes(geometry, filterShape_RSCK),
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
