/**
 * Converts weights between PyTorch's layout, used in files and state dicts, and TensorFlow's, used by ops.
 */
import { float32, ops, readFloat32, scope, type Tensor } from '../tensor/index.js';
import { elementCount } from '../wire/safetensors.js';

/** What a weight is for: decides its layout and, with the initialisation of its part, its first values. */
export type EntryRole =
  | 'convolution'
  | 'depthwise'
  | 'linear'
  | 'classifier'
  | 'bias'
  | 'norm_scale'
  | 'norm_offset'
  | 'running_mean'
  | 'running_var'
  | 'singular_vector';

/**
 * PyTorch [out, in, h, w] and [channels, 1, h, w] to HWIO and [h, w, channels, 1]; [out, in], which is a
 * convolution with a 1x1 kernel here, likewise.
 */
function importPermutation(role: EntryRole): readonly number[] | null {
  switch (role) {
    case 'convolution':
    case 'classifier':
    case 'linear':
      return [2, 3, 1, 0];
    case 'depthwise':
      return [2, 3, 0, 1];
    default:
      return null;
  }
}

export function importShape(role: EntryRole, shape: readonly number[]): readonly number[] {
  const permutation = importPermutation(role);
  const whole = withKernel(role, shape);
  return permutation === null ? shape : permutation.map((axis) => whole[axis]!);
}

/** The lengths of a weight in PyTorch's layout, as rows x channels x taps; in TensorFlow's they are in reverse order. */
export function storedLengths(
  role: EntryRole,
  shape: readonly number[],
): { readonly rows: number; readonly channels: number; readonly taps: number } {
  if (importPermutation(role) === null) {
    return { rows: elementCount(shape), channels: 1, taps: 1 };
  }
  const [rows = 1, channels = 1, height = 1, width = 1] = withKernel(role, shape);
  return { rows, channels, taps: height * width };
}

/** A linear layer's shape as a convolution's. */
function withKernel(role: EntryRole, shape: readonly number[]): readonly number[] {
  return role === 'linear' ? [...shape, 1, 1] : shape;
}

/** Makes a tensor in TensorFlow's layout from values in PyTorch's. */
export function importTensor(
  role: EntryRole,
  values: Float32Array,
  shape: readonly number[],
): Tensor {
  return scope(() => {
    const tensor = float32(values, withKernel(role, shape));
    const permutation = importPermutation(role);
    return permutation === null ? tensor : ops.transpose(tensor, permutation);
  });
}

/** Copies a tensor in TensorFlow's layout (a weight, its gradient, its velocity) to PyTorch's layout. */
export function exportTensor(role: EntryRole, tensor: Tensor): Float32Array {
  return scope(() => {
    const permutation = importPermutation(role);
    if (permutation === null) return readFloat32(tensor);
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    return readFloat32(ops.transpose(tensor, inverse));
  });
}
