/** Every typed op of tensors under one name: `ops.matMul(a, b)`. Those on a tape: ../differentiable.ts. */
export * from './elementwise.js';
export * from './linalg.js';
export { meanPool, meanPoolGrad } from './pooling.js';
export * from './reduce.js';
export { resizeBilinear } from './resize.js';
export * from './shape.js';
export * from './softmax.js';
