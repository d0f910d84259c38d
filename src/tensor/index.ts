/** TensorFlow as the rest of the code sees it. */
export { Accumulator } from './accumulator.js';
export * from './create.js';
export { engineInfo } from './binding.js';
export { type OpProfile, startProfile, stopProfile } from './execute.js';
export type { AfterNorm } from './gradients/batchNorm.js';
export type { DropoutUnit } from './gradients/dropout.js';
export * as differentiable from './gradients/index.js';
export type { Activation } from './ops/activation.js';
export * as ops from './ops/index.js';
export { Tape, Var } from './tape.js';
export { numTensors, scope, Tensor } from './tensor.js';
export { Parameter } from './parameter.js';
