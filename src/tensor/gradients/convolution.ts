/**
 * Convolution with its gradients, channels last.
 *
 * N batch, H W positions, C input and K output channels, R S kernel; weights_RSCK.
 */
import { engineInfo } from '../binding.js';
import {
  biasAdd as biasAddOp,
  biasAddGrad,
  type ConvolutionGeometry,
  conv2d as conv2dOp,
  conv2dFilterGrad,
  conv2dInputGrad,
} from '../ops/convolution.js';
import { matMul } from '../ops/linalg.js';
import { pad, reshape, slice, spaceToBatch } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

/** x_NHWC, weights_RSCK -> [N, H', W', K]; any stride and dilation, the same padding all round. */
export function conv2d(tape: Tape, x: Var, weights: Var, geometry: ConvolutionGeometry): Var {
  const { stride, padding } = geometry;
  const [height, width] = weights.shape;
  if (height === 1 && width === 1 && stride === 1 && (padding === 0 || padding === 'same')) {
    return pointwise(tape, x, weights);
  }
  const reach = reachOf(x.shape, weights.shape, geometry);
  if (reach !== null) {
    const reaching = centreTaps(tape, weights, reach);
    return conv2d(tape, x, reaching, { ...geometry, padding: 'same' });
  }
  const value = conv2dOp(x.value, weights.value, geometry);
  const inputShape = x.shape;
  const saved = [
    ...(weights.needsGradient ? [x.value] : []),
    ...(x.needsGradient ? [weights.value] : []),
  ];
  return tape.record(value, [x, weights], saved, (dy) => [
    x.needsGradient ? conv2dInputGrad(inputShape, weights.value, dy, geometry) : null,
    weights.needsGradient ? filterGrad(x.value, weights.shape, dy, geometry) : null,
  ]);
}

/** Below so many rows or columns a piece, dealing out costs more than it saves. */
const SMALLEST_PIECE = 8;

/**
 * Gradient with respect to the weights. oneDNN takes twice as long for it where there's a dilation d,
 * so there positions are dealt out over the batch, every d-th together: d * d convolutions without one.
 * What is missing to a multiple of d is zero in x and dy alike and adds nothing.
 */
function filterGrad(
  x_NHWC: Tensor,
  filterShape_RSCK: readonly number[],
  dy_NHWK: Tensor,
  geometry: ConvolutionGeometry,
): Tensor {
  const { dilation, stride, padding } = geometry;
  const [height = 0, width = 0] = x_NHWC.shape.slice(1);
  const keepsSize = dy_NHWK.shape[1] === height && dy_NHWK.shape[2] === width;
  const centred = padding === 'same' || 2 * padding === dilation * (filterShape_RSCK[0]! - 1);
  const isWorthIt = dilation > 1 && Math.min(height, width) >= SMALLEST_PIECE * dilation;
  if (!isWorthIt || stride !== 1 || !keepsSize || !centred || engineInfo().device !== 'cpu') {
    return conv2dFilterGrad(x_NHWC, filterShape_RSCK, dy_NHWK, geometry);
  }
  const missing = (length: number) => (dilation - (length % dilation)) % dilation;
  const paddings = [
    [0, missing(height)],
    [0, missing(width)],
  ] as const;
  const deal = (map: Tensor) => spaceToBatch(map, [dilation, dilation], paddings);
  const plain = { stride: 1, dilation: 1, padding: 'same' } as const;
  return scope(() => conv2dFilterGrad(deal(x_NHWC), filterShape_RSCK, deal(dy_NHWK), plain));
}

/**
 * Rows and columns of the kernel that can meet a pixel at all, if these aren't all: with a dilation
 * of the map's size and more the outer taps see nothing but padding (as in the atrous pyramid on
 * small crops, where most of the work would be on zeros).
 */
function reachOf(
  inputShape: readonly number[],
  filterShape: readonly number[],
  { stride, dilation, padding }: ConvolutionGeometry,
): [number, number] | null {
  if (stride !== 1 || dilation === 1 || padding === 'same') return null;
  const reach = [0, 1].map((axis) => {
    const taps = filterShape[axis]!;
    if (taps % 2 === 0 || 2 * padding !== dilation * (taps - 1)) return taps;
    return Math.min(taps, 2 * Math.floor((inputShape[axis + 1]! - 1) / dilation) + 1);
  }) as [number, number];
  return reach[0] === filterShape[0] && reach[1] === filterShape[1] ? null : reach;
}

/** The middle of a kernel; what is left out gets a gradient of 0. */
function centreTaps(tape: Tape, weights: Var, [rows, columns]: [number, number]): Var {
  const [height, width, inputs, outputs] = weights.shape as [number, number, number, number];
  const top = (height - rows) / 2;
  const left = (width - columns) / 2;
  const value = slice(weights.value, [top, left, 0, 0], [rows, columns, inputs, outputs]);
  return tape.record(value, [weights], [], (dy) => [
    pad(dy, [
      [top, top],
      [left, left],
      [0, 0],
      [0, 0],
    ]),
  ]);
}

/** A 1x1 convolution of stride 1 is a matrix product, which costs less at small sizes. */
function pointwise(tape: Tape, x: Var, weights: Var): Var {
  const [, , inputs, outputs] = weights.shape as [number, number, number, number];
  const positions = x.value.size / inputs;
  const matrix = [inputs, outputs];
  const value = scope(() =>
    reshape(matMul(reshape(x.value, [positions, inputs]), reshape(weights.value, matrix)), [
      ...x.shape.slice(0, -1),
      outputs,
    ]),
  );
  const inputShape = x.shape;
  const saved = [
    ...(weights.needsGradient ? [x.value] : []),
    ...(x.needsGradient ? [weights.value] : []),
  ];
  return tape.record(value, [x, weights], saved, (dy) => {
    const rows = reshape(dy, [positions, outputs]);
    const inputGrad = () =>
      reshape(matMul(rows, reshape(weights.value, matrix), { transposeB: true }), inputShape);
    const filterGrad = () =>
      reshape(
        matMul(reshape(x.value, [positions, inputs]), rows, { transposeA: true }),
        weights.shape,
      );
    return [x.needsGradient ? inputGrad() : null, weights.needsGradient ? filterGrad() : null];
  });
}

/** x + bias_K along the last axis. */
export function biasAdd(tape: Tape, x: Var, bias: Var): Var {
  return tape.record(biasAddOp(x.value, bias.value), [x, bias], [], (dy) => [
    x.needsGradient ? dy : null,
    bias.needsGradient ? biasAddGrad(dy) : null,
  ]);
}
