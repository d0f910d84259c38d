/**
 * Prints how far the convolution kernels are from plain loops, a JSON line a shape, and last the bits of
 * convolutions in bfloat16. A program of its own: the level of vector instructions (CIRKD_VECTOR_LEVEL) is chosen once a process.
 */
import { drawsFor } from '../../../src/random/draws.js';
import { bfloat16Products, float32, readFloat32, scope } from '../../../src/tensor/index.js';
import { nativeConvolution } from '../../../src/tensor/kernels/convolution.js';
import { nativeDepthwise } from '../../../src/tensor/kernels/depthwise.js';
import { bfloat16Digest } from './bfloat16Digest.js';
import { outputLength, type PlainShape, paddingOf, plainConvolution } from './plainConvolution.js';

const SHAPES: readonly Partial<PlainShape>[] = [
  // Over a block of rows, of channels and of columns, and a rest of each.
  { images: 2, height: 13, width: 11, inputs: 300, outputs: 70, kernel: 3 },
  // Over a block of positions of the weights' gradient, of channels of the input's.
  { images: 2, height: 17, width: 23, inputs: 20, outputs: 270, kernel: 3 },
  { images: 1, height: 9, width: 31, inputs: 37, outputs: 19, kernel: 3, dilation: 4 },
  { images: 2, height: 15, width: 8, inputs: 5, outputs: 33, kernel: 3, stride: 2 },
  { images: 1, height: 5, width: 5, inputs: 8, outputs: 3, kernel: 3, dilation: 12 },
  { images: 3, height: 17, width: 10, inputs: 96, outputs: 24, kernel: 1 },
  { images: 1, height: 1, width: 1, inputs: 1, outputs: 1, kernel: 7 },
  { images: 2, height: 8, width: 9, inputs: 7, outputs: 6, kernel: 3, padding: 0 },
  // Whole tiles of the output that meet padding only.
  { images: 1, height: 4, width: 6, inputs: 3, outputs: 40, kernel: 3, padding: 9 },
];
const DEPTHWISE: readonly Partial<PlainShape>[] = [
  { images: 2, height: 11, width: 14, inputs: 45, kernel: 3, stride: 2 },
  { images: 1, height: 9, width: 7, inputs: 77, kernel: 3, dilation: 4 },
  { images: 1, height: 5, width: 6, inputs: 1, kernel: 5, padding: 0 },
];

/**
 * Shapes whose algorithm must be the same for one image as for three, as rounding differs: F(4x4), which the costs of
 * one image alone would rule out; F(2x2), for its many channels; none of Winograd's.
 */
const SPLIT: readonly PlainShape[] = [
  { height: 12, width: 8, inputs: 64, outputs: 64 },
  { height: 12, width: 16, inputs: 1030, outputs: 32 },
  { height: 9, width: 7, inputs: 8, outputs: 40 },
].map((given) => ({ images: 3, kernel: 3, stride: 1, dilation: 1, ...given }));

/** For what can't be compared. A number: JSON knows no infinity. */
const FAR = 1e30;

for (const given of SHAPES) print(given, errorsOf);
for (const given of DEPTHWISE) print(given, depthwiseErrorsOf);
for (const shape of SPLIT) print({ ...shape }, differencesOfSplit);
process.stdout.write(
  `${JSON.stringify({ bfloat16: bfloat16Digest(), products: bfloat16Products() })}\n`,
);

type Errors = Record<'y' | 'dx' | 'dw', number>;

function print(given: Partial<PlainShape>, errors: (shape: PlainShape) => Errors): void {
  const shape = { stride: 1, dilation: 1, outputs: given.inputs, ...given } as PlainShape;
  process.stdout.write(`${JSON.stringify({ shape: given, ...scope(() => errors(shape)) })}\n`);
}

function shapesOf(shape: PlainShape) {
  const { images, height, width, inputs, outputs, kernel } = shape;
  const [outHeight, outWidth] = [outputLength(height, shape), outputLength(width, shape)];
  return {
    x_NHWC: [images, height, width, inputs],
    w_RSCK: [kernel, kernel, inputs, outputs],
    dy_NhwK: [images, outHeight, outWidth, outputs],
  };
}

/** The largest error of each, as a part of the largest value. */
function errorsOf(shape: PlainShape): Errors {
  const { x_NHWC, w_RSCK, dy_NhwK } = shapesOf(shape);
  const [x, w, dy] = [normal(0, x_NHWC), normal(1, w_RSCK), normal(2, dy_NhwK)];
  const plain = plainConvolution(shape, x, w, dy);
  const { stride, dilation } = shape;
  const geometry = { stride, dilation, padding: paddingOf(shape) };
  const [xT, wT, dyT] = [float32(x, x_NHWC), float32(w, w_RSCK), float32(dy, dy_NhwK)];
  return {
    y: worst(readFloat32(nativeConvolution.forward(xT, wT, geometry)), plain.y),
    dx: worst(readFloat32(nativeConvolution.inputGradient(x_NHWC, wT, dyT, geometry)), plain.dx),
    dw: worst(readFloat32(nativeConvolution.filterGradient(xT, w_RSCK, dyT, geometry)), plain.dw),
  };
}

/** How many values of the batch differ from those of its images by themselves. dw, the sum over the images: none. */
function differencesOfSplit(shape: PlainShape): Errors {
  const { x_NHWC, w_RSCK, dy_NhwK } = shapesOf(shape);
  const [x, w, dy] = [normal(0, x_NHWC), normal(1, w_RSCK), normal(2, dy_NhwK)];
  const wT = float32(w, w_RSCK);
  const geometry = { stride: shape.stride, dilation: shape.dilation, padding: paddingOf(shape) };
  const of = nativeConvolution;
  const gradient = (given: readonly number[], values: Float32Array, sizes: readonly number[]) =>
    readFloat32(of.inputGradient(sizes, wT, float32(values, given), geometry));
  const forward = (given: readonly number[], values: Float32Array) =>
    readFloat32(of.forward(float32(values, given), wT, geometry));
  const one = (whole: readonly number[]) => [1, ...whole.slice(1)];
  const imageOf = (values: Float32Array, image: number) => {
    const size = values.length / shape.images;
    return values.subarray(image * size, (image + 1) * size);
  };
  const differing = (whole: Float32Array, alone: (image: number) => Float32Array) => {
    const images = Array.from({ length: shape.images }, (_, image) => alone(image));
    return images.reduce(
      (count, values, image) =>
        count + imageOf(whole, image).filter((value, i) => !Object.is(value, values[i])).length,
      0,
    );
  };
  return {
    y: differing(forward(x_NHWC, x), (image) => forward(one(x_NHWC), imageOf(x, image))),
    dx: differing(gradient(dy_NhwK, dy, x_NHWC), (image) =>
      gradient(one(dy_NhwK), imageOf(dy, image), one(x_NHWC)),
    ),
    dw: 0,
  };
}

/** A depthwise convolution is a dense one whose filters have nothing beside the diagonal. */
function depthwiseErrorsOf(shape: PlainShape): Errors {
  const { x_NHWC, w_RSCK, dy_NhwK } = shapesOf(shape);
  const w_RSC1 = [shape.kernel, shape.kernel, shape.inputs, 1];
  const [x, w, dy] = [normal(0, x_NHWC), normal(1, w_RSC1), normal(2, dy_NhwK)];
  const dense = new Float32Array(w_RSCK.reduce((product, length) => product * length, 1));
  const diagonal = (i: number) => i * shape.inputs + (i % shape.inputs);
  for (const [i, value] of w.entries()) dense[diagonal(i)] = value;
  const plain = plainConvolution(shape, x, dense, dy);
  const { stride, dilation } = shape;
  const geometry = { stride, dilation, padding: paddingOf(shape) };
  const [xT, wT, dyT] = [float32(x, x_NHWC), float32(w, w_RSC1), float32(dy, dy_NhwK)];
  return {
    y: worst(readFloat32(nativeDepthwise.forward(xT, wT, geometry)), plain.y),
    dx: worst(readFloat32(nativeDepthwise.inputGradient(x_NHWC, wT, dyT, geometry)), plain.dx),
    dw: worst(
      readFloat32(nativeDepthwise.filterGradient(xT, w_RSC1, dyT, geometry)),
      Float64Array.from(w, (_, i) => plain.dw[diagonal(i)]!),
    ),
  };
}

function normal(index: number, shape: readonly number[]): Float32Array {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  drawsFor(5, 'test', index).fillNormal(values, 0, 1);
  return values;
}

function worst(got: Float32Array, wanted: Float64Array): number {
  if (got.length !== wanted.length) return FAR;
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  // A number that JSON knows, and larger than any that is allowed, for what can't be compared.
  return wanted.reduce((most, value, i) => {
    const error = Math.abs(got[i]! - value) / largest;
    return Math.max(most, Number.isFinite(error) ? error : FAR);
  }, 0);
}
