/**
 * The common parts of dense and depthwise convolutions, channels last: geometry, ops for the value
 * and both gradients, and the recording on a tape.
 *
 * N batch, H W input positions, C input channels, K output channels, R S kernel; weights_RSCK, or
 * weights_RSC1 for a depthwise convolution.
 */
import type { OpAttribute } from '../binding.js';
import { vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import { biasAddOp, biasGradient } from '../ops/combine.js';
import { paddingAttributes } from '../ops/padding.js';
import type { Saved, Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

export interface ConvolutionGeometry {
  readonly stride: number;
  readonly dilation: number;
  /** Rows and columns of zeros on each side. */
  readonly padding: number;
}

/** On a tape: x_NHWC, weights -> [N, H', W', K]. bias_K is added to each position; null: nothing is. */
export type ConvolutionKernel = (
  tape: Tape,
  x: Var,
  weights: Var,
  geometry: ConvolutionGeometry,
  bias_K?: Var | null,
) => Var;

/** The ops on tensors, without a tape. */
export interface ConvolutionOps {
  forward(
    x_NHWC: Tensor,
    weights: Tensor,
    geometry: ConvolutionGeometry,
    bias_K?: Tensor | null,
  ): Tensor;
  inputGradient(
    inputShape_NHWC: readonly number[],
    weights: Tensor,
    dy: Tensor,
    geometry: ConvolutionGeometry,
  ): Tensor;
  filterGradient(
    x_NHWC: Tensor,
    filterShape: readonly number[],
    dy: Tensor,
    geometry: ConvolutionGeometry,
  ): Tensor;
}

/** The addon's ops Cirkd`kind`, CirkdBiased`kind`, and Cirkd`kind`InputGrad and …FilterGrad; CPU only. */
export function addonOps(kind: string): ConvolutionOps {
  const name = `Cirkd${kind}`;
  return {
    forward: (x_NHWC, weights, geometry, bias_K = null) =>
      scope(() => {
        const inputs = [x_NHWC, weights, geometryTensor(geometry)];
        if (bias_K === null) return execute(name, inputs, []);
        return execute(`CirkdBiased${kind}`, [...inputs, bias_K], []);
      }),
    inputGradient: ([, height = 0, width = 0], weights, dy, geometry) =>
      scope(() => {
        const numbers = geometryTensor(geometry, [height, width]);
        return execute(`${name}InputGrad`, [dy, weights, numbers], []);
      }),
    filterGradient: (x_NHWC, [rows = 0, columns = 0], dy, geometry) =>
      scope(() => {
        const numbers = geometryTensor(geometry, [rows, columns]);
        return execute(`${name}FilterGrad`, [x_NHWC, dy, numbers], []);
      }),
  };
}

/** The geometry in the form of the addon's kernels, with two sizes that the inputs' shapes lack. */
export const geometryTensor = (
  { stride, dilation, padding }: ConvolutionGeometry,
  [rows, columns]: readonly [number, number] = [0, 0],
) => vector([stride, dilation, padding, rows, columns]);

/**
 * TensorFlow's ops `name`, `name`BackpropInput and `name`BackpropFilter. `more` returns further
 * attributes; it is a function because making an attribute loads TensorFlow.
 */
export function tensorflowOps(
  name: string,
  more: () => readonly OpAttribute[] = () => [],
): ConvolutionOps {
  const attributes = ({ stride, dilation, padding }: ConvolutionGeometry) => [
    attribute.type('T', 'float32'),
    attribute.int('strides', [1, stride, stride, 1]),
    attribute.int('dilations', [1, dilation, dilation, 1]),
    ...paddingAttributes(padding),
    attribute.string('data_format', 'NHWC'),
    ...more(),
  ];
  return {
    forward: (x_NHWC, weights, geometry, bias_K = null) =>
      scope(() => {
        const y = execute(name, [x_NHWC, weights], attributes(geometry));
        return bias_K === null ? y : biasAddOp(y, bias_K);
      }),
    inputGradient: (inputShape_NHWC, weights, dy, geometry) =>
      scope(() => {
        const inputs = [vector(inputShape_NHWC), weights, dy];
        return execute(`${name}BackpropInput`, inputs, attributes(geometry));
      }),
    filterGradient: (x_NHWC, filterShape, dy, geometry) =>
      scope(() => {
        const inputs = [x_NHWC, vector(filterShape), dy];
        return execute(`${name}BackpropFilter`, inputs, attributes(geometry));
      }),
  };
}

/** Makes a kernel on a tape from these ops. */
export function recorded(ops: ConvolutionOps): ConvolutionKernel {
  return (tape, x, weights, geometry, bias_K = null) => {
    const value = ops.forward(x.value, weights.value, geometry, bias_K?.value ?? null);
    const inputShape = x.shape;
    const inputs = [x, weights, ...(bias_K === null ? [] : [bias_K])];
    return tape.record(value, inputs, savedFor(x, weights), (dy) => [
      x.needsGradient ? ops.inputGradient(inputShape, weights.value, dy, geometry) : null,
      weights.needsGradient ? ops.filterGradient(x.value, weights.shape, dy, geometry) : null,
      ...(bias_K === null ? [] : [bias_K.needsGradient ? biasGradient(dy) : null]),
    ]);
  };
}

/** For the backward pass: x for the weights' gradient, the weights for the gradient of x. */
export function savedFor(x: Var, weights: Var): Saved[] {
  return [...(weights.needsGradient ? [x] : []), ...(x.needsGradient ? [weights] : [])];
}
