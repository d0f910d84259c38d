/** The dense convolutions of a network: each shape once, with the number of layers that have it. */
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
}

export interface NetworkShape extends ConvolutionShape {
  readonly layers: number;
}

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
  { stride, dilation, padding, kernel }: ConvolutionShape,
) => Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

/** Multiplications and additions, those with the padding among them. */
export function operations(shape: ConvolutionShape): number {
  const { images, height, width, inputs, outputs, kernel } = shape;
  const positions = images * outputLength(height, shape) * outputLength(width, shape);
  return 2 * positions * kernel ** 2 * inputs * outputs;
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
  const see = (
    x: Var,
    weightsOf: Var,
    { stride, dilation, padding }: ConvolutionGeometry,
  ): number[] => {
    const [images = 0, height = 0, width = 0, inputs = 0] = x.shape;
    const [kernel = 0, , , outputs = 0] = weightsOf.shape;
    const shape = { images, height, width, inputs, outputs, kernel, stride, dilation, padding };
    const key = JSON.stringify(shape);
    found.set(key, { ...shape, layers: (found.get(key)?.layers ?? 0) + 1 });
    return [images, outputLength(height, shape), outputLength(width, shape), outputs];
  };
  const seeing: Pick<Kernels, 'conv2d' | 'normalisedConvolution'> = {
    conv2d: (tape, x, w, geometry) => empty(tape, see(x, w, geometry)),
    normalisedConvolution: (tape, x, w, geometry) => {
      if (!geometry.depthwise) return empty(tape, see(x, w, geometry));
      const shape = {
        ...geometry,
        kernel: w.shape[0]!,
        images: 0,
        height: 0,
        width: 0,
        inputs: 0,
        outputs: 0,
      };
      const [images = 0, height = 0, width = 0, channels = 0] = x.shape;
      return empty(tape, [
        images,
        outputLength(height, shape),
        outputLength(width, shape),
        channels,
      ]);
    },
  };
  Object.assign(kernels(), seeing);
  scope(() => {
    const context = inferenceContext();
    const { images, height, width } = size;
    network.forward(context, context.tape.constant(zeros([images, height, width, 3])));
    context.tape.dispose();
  });
  network.dispose();
  return [...found.values()];
}

/** What follows needs a shape, no values. */
const empty = (tape: Tape, shape: readonly number[]) => tape.constant(zeros(shape));
