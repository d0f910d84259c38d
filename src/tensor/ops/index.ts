/** Every typed op under one name: `ops.matMul(a, b)`. */
export * from './convolution.js';
export * from './depthwise.js';
export * from './elementwise.js';
export * from './image.js';
export * from './linalg.js';
export * from './normalisation.js';
export * from './pixelCrossEntropy.js';
export * from './pooling.js';
export * from './random.js';
export * from './reduce.js';
export * from './rowQuantisation.js';
export * from './shape.js';
export * from './similarity.js';
export * from './softmax.js';
