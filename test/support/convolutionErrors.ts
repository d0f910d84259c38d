/**
 * Prints how far the convolution kernels are from plain loops, a JSON line a shape. A program of its own:
 * the level of vector instructions (CIRKD_VECTOR_LEVEL) is chosen once a process.
 */
import { drawsFor } from '../../src/random/draws.js';
import { float32, ops, readFloat32, scope } from '../../src/tensor/index.js';
import { outputLength, paddingOf, type PlainShape, plainConvolution } from './plainConvolution.js';

const SHAPES: readonly Partial<PlainShape>[] = [
  // Over a block of rows, of channels and of columns, and a rest of each.
  { images: 2, height: 13, width: 11, inputs: 300, outputs: 70, kernel: 3 },
  { images: 1, height: 9, width: 31, inputs: 37, outputs: 19, kernel: 3, dilation: 4 },
  { images: 2, height: 15, width: 8, inputs: 5, outputs: 33, kernel: 3, stride: 2 },
  { images: 1, height: 5, width: 5, inputs: 8, outputs: 3, kernel: 3, dilation: 12 },
  { images: 3, height: 17, width: 10, inputs: 96, outputs: 24, kernel: 1 },
  { images: 1, height: 1, width: 1, inputs: 1, outputs: 1, kernel: 7 },
];

for (const given of SHAPES) {
  const shape = { stride: 1, dilation: 1, ...given } as PlainShape;
  process.stdout.write(`${JSON.stringify({ shape: given, ...scope(() => errorsOf(shape)) })}\n`);
}

/** The largest error of each, as a part of the largest value. */
function errorsOf(shape: PlainShape): Record<'y' | 'dx' | 'dw', number> {
  const { images, height, width, inputs, outputs, kernel, stride, dilation } = shape;
  const [outHeight, outWidth] = [outputLength(height, shape), outputLength(width, shape)];
  const x_NHWC = [images, height, width, inputs];
  const w_RSCK = [kernel, kernel, inputs, outputs];
  const dy_NhwK = [images, outHeight, outWidth, outputs];
  const x = normal(0, x_NHWC);
  const w = normal(1, w_RSCK);
  const dy = normal(2, dy_NhwK);
  const plain = plainConvolution(shape, x, w, dy);
  const geometry = { stride, dilation, padding: paddingOf(shape) };
  const [xT, wT, dyT] = [float32(x, x_NHWC), float32(w, w_RSCK), float32(dy, dy_NhwK)];
  return {
    y: worst(readFloat32(ops.conv2d(xT, wT, geometry)), plain.y),
    dx: worst(readFloat32(ops.conv2dInputGrad(x_NHWC, wT, dyT, geometry)), plain.dx),
    dw: worst(readFloat32(ops.conv2dFilterGrad(xT, w_RSCK, dyT, geometry)), plain.dw),
  };
}

function normal(index: number, shape: readonly number[]): Float32Array {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  drawsFor(5, 'test', index).fillNormal(values, 0, 1);
  return values;
}

function worst(got: Float32Array, wanted: Float64Array): number {
  if (got.length !== wanted.length) return Number.POSITIVE_INFINITY;
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  // Not Math.max: NaN must not get lost.
  const errors = wanted.map((value, i) => Math.abs(got[i]! - value) / largest);
  return errors.reduce((most, error) => (error <= most ? most : error), 0);
}
