/** Finds NaN and infinity inside TensorFlow, without copying the tensor out. */
import { ops, readFloat32, scope, type Tensor } from '../../tensor/index.js';

/** Whether every element is finite. */
export function isFiniteTensor(tensor: Tensor): boolean {
  return scope(() => {
    const axes = tensor.shape.map((_, axis) => axis);
    const finite = ops.all(ops.finite(tensor), axes);
    return readFloat32(finite)[0] === 1;
  });
}
