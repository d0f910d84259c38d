/** The convolutions of a network: each shape once, with the number of layers that have it. */
import { configOf, PAPER_BANK_ROWS } from '../../services/cli/bench/workload.js';
import { studentSpec } from '../../services/student/trainer.js';
import { inferenceContext } from '../../src/models/context.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import {
  type Kernels,
  kernels,
  scope,
  type Tape,
  type Var,
  zeros,
} from '../../src/tensor/index.js';
import type { ConvolutionGeometry } from '../../src/tensor/kernels/convolutionOps.js';

export interface ConvolutionShape extends ConvolutionGeometry {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Taps along a side. */
  readonly kernel: number;
  /** One filter per channel. */
  readonly depthwise: boolean;
}

export interface NetworkShape extends ConvolutionShape {
  readonly layers: number;
  /** x is the image, whose gradient nothing needs. */
  readonly ofImage: boolean;
}

export const PASSES = ['forward', 'inputGradient', 'filterGradient'] as const;
export type PassName = (typeof PASSES)[number];

/** Those that a step computes. */
export const passesOf = ({ ofImage }: NetworkShape): readonly PassName[] =>
  PASSES.filter((pass) => !(ofImage && pass === 'inputGradient'));

/** Whether it may be computed by Winograd's algorithm. */
export const hasWinograd = ({ kernel, stride, depthwise }: ConvolutionShape): boolean =>
  kernel === 3 && stride === 1 && !depthwise;

/** As bench:step's students and teacher. */
export const NETWORKS = {
  resnet18: { model: 'deeplabv3', backbone: 'resnet18', title: 'DeepLabV3-ResNet-18' },
  resnet101: { model: 'deeplabv3', backbone: 'resnet101', title: 'DeepLabV3-ResNet-101' },
  mobilenetv2: { model: 'deeplab_mobile', backbone: 'mobilenetv2', title: 'DeepLabV3-MobileNetV2' },
} as const;
export type NetworkName = keyof typeof NETWORKS;

export interface InputSize {
  readonly images: number;
  readonly height: number;
  readonly width: number;
}

const CLASSES = 19;

export const outputLength = (
  length: number,
  { stride, dilation, padding, kernel }: ConvolutionGeometry & { readonly kernel: number },
) => Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

/** Multiplications and additions, those with the padding among them. */
export function operations(shape: ConvolutionShape): number {
  const { images, height, width, inputs, outputs, kernel, depthwise } = shape;
  const positions = images * outputLength(height, shape) * outputLength(width, shape);
  return 2 * positions * kernel ** 2 * (depthwise ? 1 : inputs) * outputs;
}

/** In the order of the layers. Changes the process's kernels: call it in a process of its own. */
export function shapesOf(name: NetworkName, size: InputSize): NetworkShape[] {
  const { model, backbone } = NETWORKS[name];
  const config = configOf({
    ...{ model, backbone, variant: 'v1', widthMultiplier: 1, classes: CLASSES, ...size },
    ...{ loss: 'labels', teacherChannels: 0, bankRows: PAPER_BANK_ROWS },
  });
  const weights = (_: string, shape: readonly number[]) =>
    new Float32Array(shape.reduce((product, length) => product * length, 1));
  const network = SegmentationNetwork.create(studentSpec(config, CLASSES), weights);
  const found = new Map<string, NetworkShape>();
  scope(() => {
    const context = inferenceContext();
    const { images, height, width } = size;
    const image = context.tape.constant(zeros([images, height, width, 3]));
    Object.assign(kernels(), seeing(found, image));
    network.forward(context, image);
    context.tape.dispose();
  });
  network.dispose();
  return [...found.values()];
}

/** Kernels that note what they are called with. */
function seeing(
  found: Map<string, NetworkShape>,
  image: Var,
): Pick<Kernels, 'conv2d' | 'depthwiseConv2d' | 'normalisedConvolution'> {
  const see = (
    ...[tape, x, weights, geometry, depthwise]: [Tape, Var, Var, ConvolutionGeometry, boolean]
  ): Var => {
    const { stride, dilation, padding } = geometry;
    const [images = 0, height = 0, width = 0, inputs = 0] = x.shape;
    const [kernel = 0, , , filters = 0] = weights.shape;
    const shape = {
      ...{ images, height, width, inputs, outputs: depthwise ? inputs : filters },
      ...{ kernel, stride, dilation, padding, depthwise, ofImage: x === image },
    };
    const key = JSON.stringify(shape);
    found.set(key, { ...shape, layers: (found.get(key)?.layers ?? 0) + 1 });
    const y = [images, outputLength(height, shape), outputLength(width, shape), shape.outputs];
    // What follows needs a shape, no values.
    return tape.constant(zeros(y));
  };
  return {
    conv2d: (tape, x, w, geometry) => see(tape, x, w, geometry, false),
    depthwiseConv2d: (tape, x, w, geometry) => see(tape, x, w, geometry, true),
    normalisedConvolution: (tape, x, w, geometry) => see(tape, x, w, geometry, geometry.depthwise),
  };
}
