/** How many products an op adds up: for profiles. */

type Shape = readonly number[];
/** The gradient's or value's shape with the channels last, and the weights' shape. */
type Convolution = (inputs: readonly Shape[], output: Shape) => readonly [Shape, Shape];

const forward: Convolution = (inputs, output) => [output, inputs[1]!];
const inputGradient: Convolution = ([dy, weights]) => [dy!, weights!];
const filterGradient: Convolution = ([, dy], output) => [dy!, output];

const CONVOLUTIONS: Readonly<Record<string, Convolution>> = Object.fromEntries([
  ['Conv2D', forward],
  ['Conv2DBackpropInput', ([, weights, dy]) => [dy!, weights!]],
  ['Conv2DBackpropFilter', ([, , dy], output) => [dy!, output]],
  ...['Conv2D', 'Depthwise'].flatMap((kind): [string, Convolution][] => [
    [`Cirkd${kind}`, forward],
    [`CirkdBiased${kind}`, forward],
    [`CirkdNormalised${kind}`, forward],
    [`Cirkd${kind}InputGrad`, inputGradient],
    [`Cirkd${kind}FilterGrad`, filterGradient],
  ]),
] satisfies [string, Convolution][]);

/**
 * Of the direct sums, with the padding's: Winograd's algorithm needs fewer for the same result. 0 for an op that isn't a
 * matrix product or a convolution, channels last.
 *
 * @param inputs shapes; weights_RSCK, or weights_RSC1 of a depthwise convolution
 */
export function multiplyAdds(op: string, inputs: readonly Shape[], output: Shape): number {
  const convolution = CONVOLUTIONS[op];
  if (convolution !== undefined) {
    const [y, weights] = convolution(inputs, output);
    return (sizeOf(y) * sizeOf(weights)) / y.at(-1)!;
  }
  if (op !== 'MatMul' && op !== 'BatchMatMulV2') return 0;
  const [rows = 0, columns = 0] = output.slice(-2);
  // Either matrix may be transposed: its two sizes are those of the output's axis and of the sum.
  const terms = sizeOf(inputs[0]!.slice(-2)) / rows;
  return columns === 0 || rows === 0 ? 0 : sizeOf(output) * terms;
}

const sizeOf = (shape: Shape) => shape.reduce((size, length) => size * length, 1);
