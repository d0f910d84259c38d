/**
 * The operations with two implementations: kernels of the addon (../native), for the CPU, and
 * compositions of TensorFlow's ops, for any device. Each operation has a file here with both
 * implementations and their gradients.
 */
import { device } from '../binding.js';
import { type BatchNormKernel, composedBatchNorm, nativeBatchNorm } from './batchNorm.js';
import { type ClassKlKernel, composedClassKl, nativeClassKl } from './classKl.js';
import { type ColumnKlKernel, composedColumnKl, nativeColumnKl } from './columnKl.js';
import { composedConv2d, nativeConv2d } from './convolution.js';
import type { ConvolutionKernel } from './convolutionOps.js';
import { composedDepthwiseConv2d, nativeDepthwiseConv2d } from './depthwise.js';
import { composedGelu, type GeluKernel, nativeGelu } from './gelu.js';
import { composedLayerNorm, type LayerNormKernel, nativeLayerNorm } from './layerNorm.js';
import { composedMaxPool, type MaxPoolKernel, nativeMaxPool } from './maxPool.js';
import {
  composedMultiHeadAttention,
  type MultiHeadAttentionKernel,
  nativeMultiHeadAttention,
} from './multiHeadAttention.js';
import {
  composedNormalisedConvolution,
  type NormalisedConvolutionKernel,
  nativeNormalisedConvolution,
} from './normalisedConvolution.js';
import {
  composedFiniteness,
  composedMomentum,
  type FinitenessKernel,
  type MomentumKernel,
  nativeFiniteness,
  nativeMomentum,
} from './parameterUpdate.js';
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
import {
  composedSharedBatchNorm,
  nativeSharedBatchNorm,
  type SharedBatchNormKernel,
} from './sharedBatchNorm.js';
import { nativeSimilarityKl, type SimilarityKl } from './similarityKl.js';

export interface Kernels {
  readonly multiHeadAttention: MultiHeadAttentionKernel;
  readonly classKl: ClassKlKernel;
  readonly columnKl: ColumnKlKernel;
  /** Weights [R, S, C, K]. */
  readonly conv2d: ConvolutionKernel;
  /** Weights [R, S, C, 1]. */
  readonly depthwiseConv2d: ConvolutionKernel;
  readonly batchNormTraining: BatchNormKernel;
  readonly sharedBatchNorm: SharedBatchNormKernel;
  readonly gelu: GeluKernel;
  readonly layerNorm: LayerNormKernel;
  readonly finiteness: FinitenessKernel;
  readonly maxPool: MaxPoolKernel;
  readonly momentum: MomentumKernel;
  readonly normalisedConvolution: NormalisedConvolutionKernel;
  readonly pixelCrossEntropy: PixelCrossEntropyKernel;
  readonly rowQuantisation: RowQuantisation;
  /** null: composed of products and the functions of similarity.ts, by src/losses. */
  readonly similarityKl: SimilarityKl | null;
}

/** For the CPU only. TF_NUM_INTRAOP_THREADS sets the number of threads. */
export const nativeKernels: Kernels = {
  multiHeadAttention: nativeMultiHeadAttention,
  classKl: nativeClassKl,
  columnKl: nativeColumnKl,
  conv2d: nativeConv2d,
  depthwiseConv2d: nativeDepthwiseConv2d,
  batchNormTraining: nativeBatchNorm,
  sharedBatchNorm: nativeSharedBatchNorm,
  gelu: nativeGelu,
  layerNorm: nativeLayerNorm,
  finiteness: nativeFiniteness,
  maxPool: nativeMaxPool,
  momentum: nativeMomentum,
  normalisedConvolution: nativeNormalisedConvolution,
  pixelCrossEntropy: nativePixelCrossEntropy,
  rowQuantisation: nativeQuantisation,
  similarityKl: nativeSimilarityKl,
};

/** For any device. */
export const composedKernels: Kernels = {
  multiHeadAttention: composedMultiHeadAttention,
  classKl: composedClassKl,
  columnKl: composedColumnKl,
  conv2d: composedConv2d,
  depthwiseConv2d: composedDepthwiseConv2d,
  batchNormTraining: composedBatchNorm,
  sharedBatchNorm: composedSharedBatchNorm,
  gelu: composedGelu,
  layerNorm: composedLayerNorm,
  finiteness: composedFiniteness,
  maxPool: composedMaxPool,
  momentum: composedMomentum,
  normalisedConvolution: composedNormalisedConvolution,
  pixelCrossEntropy: composedPixelCrossEntropy,
  rowQuantisation: composedQuantisation,
  similarityKl: null,
};

let chosen: Kernels | undefined;

/** The table for TensorFlow's device, chosen at the first call, which loads TensorFlow. */
export function kernels(): Kernels {
  chosen ??= device() === 'cpu' ? nativeKernels : composedKernels;
  return chosen;
}
