/**
 * The operations that are computed in two ways: by kernels of the addon (../native), which are for the CPU,
 * and of TensorFlow's ops, on any device. Each has a file here with both and with its gradients.
 */
import { device } from '../binding.js';
import { type BatchNormKernel, composedBatchNorm, nativeBatchNorm } from './batchNorm.js';
import { composedConv2d, nativeConv2d } from './convolution.js';
import type { ConvolutionKernel } from './convolutionOps.js';
import { composedDepthwiseConv2d, nativeDepthwiseConv2d } from './depthwise.js';
import {
  composedNormalisedConvolution,
  nativeNormalisedConvolution,
  type NormalisedConvolutionKernel,
} from './normalisedConvolution.js';
import {
  composedPixelCrossEntropy,
  nativePixelCrossEntropy,
  type PixelCrossEntropyKernel,
} from './pixelCrossEntropy.js';
import {
  composedQuantisation,
  nativeQuantisation,
  type RowQuantisation,
} from './rowQuantisation.js';
import { composedSimilarity, nativeSimilarity, type SimilarityKernels } from './similarity.js';

export interface Kernels {
  /** Weights [R, S, C, K]. */
  readonly conv2d: ConvolutionKernel;
  /** Weights [R, S, C, 1]. */
  readonly depthwiseConv2d: ConvolutionKernel;
  readonly batchNormTraining: BatchNormKernel;
  readonly normalisedConvolution: NormalisedConvolutionKernel;
  readonly pixelCrossEntropy: PixelCrossEntropyKernel;
  readonly rowQuantisation: RowQuantisation;
  readonly similarity: SimilarityKernels;
}

/** For the CPU only. As many threads as TF_NUM_INTRAOP_THREADS says. */
export const nativeKernels: Kernels = {
  conv2d: nativeConv2d,
  depthwiseConv2d: nativeDepthwiseConv2d,
  batchNormTraining: nativeBatchNorm,
  normalisedConvolution: nativeNormalisedConvolution,
  pixelCrossEntropy: nativePixelCrossEntropy,
  rowQuantisation: nativeQuantisation,
  similarity: nativeSimilarity,
};

/** For any device. */
export const composedKernels: Kernels = {
  conv2d: composedConv2d,
  depthwiseConv2d: composedDepthwiseConv2d,
  batchNormTraining: composedBatchNorm,
  normalisedConvolution: composedNormalisedConvolution,
  pixelCrossEntropy: composedPixelCrossEntropy,
  rowQuantisation: composedQuantisation,
  similarity: composedSimilarity,
};

let chosen: Kernels | undefined;

/** The table for TensorFlow's device, chosen at the first call, which opens TensorFlow. */
export function kernels(): Kernels {
  chosen ??= device() === 'cpu' ? nativeKernels : composedKernels;
  return chosen;
}
