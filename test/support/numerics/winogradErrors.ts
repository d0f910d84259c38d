/**
 * Prints how far 3x3 convolutions are from sums in float64, a JSON line a shape. A program of its own: the algorithm
 * (CIRKD_WINOGRAD) and the level of vector instructions (CIRKD_VECTOR_LEVEL) are chosen once a process.
 */
import { drawsFor } from '../../../src/random/draws.js';
import { float32, readFloat32, scope } from '../../../src/tensor/index.js';
import { nativeConvolution } from '../../../src/tensor/kernels/convolution.js';
import { outputLength, type PlainShape, paddingOf, plainConvolution } from './plainConvolution.js';

interface Values {
  /** As behind a ReLU. */
  readonly positive?: boolean;
  /** Some values of x and dy are so many times as large. */
  readonly outliers?: number;
}

const SHAPES: readonly (Partial<PlainShape> & Values)[] = [
  // More channels than are transformed at a time, and a rest of a vector of the outputs'.
  { images: 2, height: 13, width: 11, inputs: 300, outputs: 70 },
  // More outputs than a block has columns, a rest of a vector of the inputs'.
  { images: 1, height: 9, width: 14, inputs: 20, outputs: 270 },
  { images: 2, height: 12, width: 16, inputs: 128, outputs: 64, positive: true },
  { images: 1, height: 8, width: 10, inputs: 48, outputs: 24, outliers: 1000 },
  // As many as F(4x4) may sum.
  { images: 1, height: 8, width: 8, inputs: 1024, outputs: 16 },
  // Several blocks of tiles for each thread.
  { images: 3, height: 29, width: 31, inputs: 17, outputs: 33 },
  { images: 2, height: 18, width: 15, inputs: 40, outputs: 24, dilation: 2 },
  { images: 1, height: 9, width: 31, inputs: 37, outputs: 19, dilation: 4 },
  { images: 2, height: 16, width: 21, inputs: 5, outputs: 65, dilation: 8 },
  // Grids of one position, most taps in the padding.
  { images: 1, height: 13, width: 5, inputs: 8, outputs: 3, dilation: 12 },
  { images: 1, height: 1, width: 1, inputs: 1, outputs: 1 },
  { images: 2, height: 8, width: 9, inputs: 7, outputs: 6, padding: 0 },
  { images: 1, height: 4, width: 6, inputs: 3, outputs: 40, padding: 9 },
  { images: 1, height: 11, width: 7, inputs: 9, outputs: 34, padding: 1, dilation: 3 },
];

interface Distance {
  /** As parts of the largest value. */
  readonly largest: number;
  readonly rootMeanSquare: number;
}

for (const given of SHAPES) {
  const shape = { kernel: 3, stride: 1, dilation: 1, ...given } as PlainShape;
  const line = { shape: given, ...scope(() => distances(shape, given)) };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
scope(gradientOfNoRows);

/** A map without rows, whose padding alone has outputs: there is no tile. */
function gradientOfNoRows(): void {
  const [w, dy] = [
    float32(new Float32Array(54), [3, 3, 2, 3]),
    float32(new Float32Array(42), [1, 2, 7, 3]),
  ];
  const geometry = { stride: 1, dilation: 1, padding: 2 };
  const { shape } = nativeConvolution.inputGradient([1, 0, 5, 2], w, dy, geometry);
  if (`${shape}` !== '1,0,5,2') throw new Error(`[${shape}], [1,0,5,2] wanted`);
}

function distances(
  shape: PlainShape,
  { positive = false, outliers }: Values,
): Record<string, Distance> {
  const { images, height, width, inputs, outputs, kernel, stride, dilation } = shape;
  const x_NHWC = [images, height, width, inputs];
  const w_RSCK = [kernel, kernel, inputs, outputs];
  const dy_NhwK = [images, outputLength(height, shape), outputLength(width, shape), outputs];
  const [x, w, dy] = [normal(0, x_NHWC), normal(1, w_RSCK), normal(2, dy_NhwK)];
  if (positive) for (const [i, value] of x.entries()) x[i] = Math.max(0, value);
  if (outliers !== undefined) {
    for (const values of [x, dy])
      for (let i = 5; i < values.length; i += 997) values[i]! *= outliers;
  }
  const bias = normal(3, [outputs]);
  const plain = plainConvolution(shape, x, w, dy);
  const geometry = { stride, dilation, padding: paddingOf(shape) };
  const [xT, wT, dyT] = [float32(x, x_NHWC), float32(w, w_RSCK), float32(dy, dy_NhwK)];
  const of = nativeConvolution;
  return {
    y: distance(readFloat32(of.forward(xT, wT, geometry)), plain.y),
    biased: distance(
      readFloat32(of.forward(xT, wT, geometry, float32(bias, [outputs]))),
      plain.y.map((value, i) => value + bias[i % outputs]!),
    ),
    dx: distance(readFloat32(of.inputGradient(x_NHWC, wT, dyT, geometry)), plain.dx),
    dw: distance(readFloat32(of.filterGradient(xT, w_RSCK, dyT, geometry)), plain.dw),
  };
}

function normal(index: number, shape: readonly number[]): Float32Array {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  drawsFor(5, 'test', index).fillNormal(values, 0, 1);
  return values;
}

function distance(got: Float32Array, wanted: Float64Array): Distance {
  if (got.length !== wanted.length)
    throw new Error(`${got.length} values, ${wanted.length} wanted`);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  let [largest, squares] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    const error = Math.abs(got[i]! - value) / scale;
    if (!Number.isFinite(error)) throw new Error(`value ${i}: ${got[i]}, ${value} wanted`);
    largest = Math.max(largest, error);
    squares += error ** 2;
  }
  return { largest, rootMeanSquare: Math.sqrt(squares / Math.max(1, wanted.length)) };
}
