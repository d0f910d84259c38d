/** A convolution and its gradients as plain loops in double precision, channels last. */

export interface PlainShape {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Odd. */
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Zeros on each side; left out: a stride of 1 keeps the size. */
  readonly padding?: number;
}

export const paddingOf = ({ kernel, dilation, padding }: PlainShape) =>
  padding ?? (dilation * (kernel - 1)) / 2;

/** Output rows of so many input rows (or columns). */
export function outputLength(length: number, shape: PlainShape): number {
  const { kernel, stride, dilation } = shape;
  return Math.floor((length + 2 * paddingOf(shape) - dilation * (kernel - 1) - 1) / stride) + 1;
}

export interface PlainConvolution {
  readonly y: Float64Array;
  readonly dx: Float64Array;
  readonly dw: Float64Array;
}

/** y of x and w, and of dy the gradients. */
export function plainConvolution(
  shape: PlainShape,
  x: Float32Array,
  w: Float32Array,
  dy: Float32Array,
): PlainConvolution {
  const { inputs, outputs } = shape;
  const y = new Float64Array(dy.length);
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  eachMeeting(shape, (out, at, tap) => {
    for (let c = 0; c < inputs; c++) {
      const from = at * inputs + c;
      for (let k = 0; k < outputs; k++) {
        const [to, weight] = [out * outputs + k, (tap * inputs + c) * outputs + k];
        y[to] = y[to]! + x[from]! * w[weight]!;
        dx[from] = dx[from]! + dy[to]! * w[weight]!;
        dw[weight] = dw[weight]! + x[from]! * dy[to]!;
      }
    }
  });
  return { y, dx, dw };
}

/** Every output position with every input position that it meets, and the tap between them. */
function eachMeeting(shape: PlainShape, meet: (out: number, at: number, tap: number) => void) {
  const { images, height, width, kernel, stride, dilation } = shape;
  const [outHeight, outWidth] = [outputLength(height, shape), outputLength(width, shape)];
  const padding = paddingOf(shape);
  for (let out = 0; out < images * outHeight * outWidth; out++) {
    const image = Math.floor(out / (outHeight * outWidth));
    const row = Math.floor(out / outWidth) % outHeight;
    for (let tap = 0; tap < kernel * kernel; tap++) {
      const y = row * stride + Math.floor(tap / kernel) * dilation - padding;
      const x = (out % outWidth) * stride + (tap % kernel) * dilation - padding;
      if (y < 0 || y >= height || x < 0 || x >= width) continue;
      meet(out, (image * height + y) * width + x, tap);
    }
  }
}
