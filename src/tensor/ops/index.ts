/** All typed ops on tensors, as `ops.matMul(a, b)`. Those on a tape are in ../differentiable.ts. */
export * from './attendance.js';
export * from './backgroundReduce.js';
export * from './collective.js';
export * from './elementwise.js';
export * from './linalg.js';
export { cutMaxPool, cutMaxPoolGrad, meanPool, meanPoolGrad } from './pooling.js';
export * from './reduce.js';
export { resizeBilinear } from './resize.js';
export * from './shape.js';
export * from './softmax.js';
