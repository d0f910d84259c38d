/** The interface to TensorFlow for the rest of the code. */

export { accumulatedSum } from './accumulatedSum.js';
export { Accumulator } from './accumulator.js';
export { engineInfo } from './binding.js';
export * from './create.js';
export * as differentiable from './differentiable.js';
export { type OpProfile, startProfile, stopProfile } from './execute.js';
export type { AfterNorm } from './kernels/batchNorm.js';
export { type Bfloat16Products, bfloat16Products } from './kernels/bfloat16.js';
export { pixelLosses } from './kernels/pixelCrossEntropy.js';
export type { SimilarityKl } from './kernels/similarityKl.js';
export type { RankGroup } from './kernels/sharedBatchNorm.js';
export * as similarityTile from './kernels/similarity.js';
export { composedKernels, type Kernels, kernels, nativeKernels } from './kernels/table.js';
export type { Activation } from './ops/activation.js';
export type { DropoutUnit } from './ops/dropout.js';
export * as ops from './ops/index.js';
export { Parameter } from './parameter.js';
export { returnFreedMemory, useProcessors } from './process.js';
export { type Feed, numSavedModels, SavedModelSession } from './savedModel.js';
export { isStoredType, readStored, type StoredPlace, type StoredType } from './storedValues.js';
export { type FinalGradient, onTape, Tape, Var } from './tape.js';
export { numTensors, scope, Tensor } from './tensor.js';
