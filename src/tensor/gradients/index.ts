/** Functions of values on a tape: each computes its value and records its gradient. */
export * from './activation.js';
export * from './batchNorm.js';
export * from './combine.js';
export * from './convolution.js';
export * from './depthwiseConvolution.js';
export * from './dropout.js';
export * from './normalisedConvolution.js';
export * from './pooling.js';
export * from './resize.js';
