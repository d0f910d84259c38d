/** A tensor of a PyTorch checkpoint: a strided view of a storage. */
import { CheckpointError } from '../checkpointError.js';
import { DTYPE_BYTES, type NamedTensor, type SafetensorsDtype } from '../safetensors.js';
import { shown } from './pickle/values.js';

/** PyTorch's own limit. */
const MOST_DIMENSIONS = 64;

export interface TorchStorage {
  readonly dtype: SafetensorsDtype;
  /** Its key in the file. */
  readonly key: string;
  readonly elements: number;
  /** Gives at least `elements` times the dtype's size in bytes, as a view of the file. */
  readonly content: () => Uint8Array;
}

/** Offset and strides count elements. Only made by `torchTensor`, which checks that it fits its storage. */
export interface TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Number of elements of the shape. */
  readonly elements: number;
}

/**
 * Throws CheckpointError if a size, stride or offset isn't a whole number >= 0 or an element lies outside
 * the storage. Allocates nothing.
 */
export function torchTensor(
  storage: TorchStorage,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): TorchTensor {
  if (shape.length > MOST_DIMENSIONS) {
    throw new CheckpointError(
      `a tensor of ${shape.length} dimensions, wanted at most ${MOST_DIMENSIONS}`,
    );
  }
  if (strides.length !== shape.length) {
    throw new CheckpointError(
      `a tensor of ${shape.length} dimensions has ${strides.length} strides`,
    );
  }
  const where = () => `tensor [${shape}] with strides [${strides}] from ${offset}`;
  if (![offset, ...shape, ...strides].every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new CheckpointError(`${where()}: wanted whole numbers >= 0`);
  }
  const empty = shape.includes(0);
  let elements = 1;
  let last = offset;
  for (const [axis, size] of shape.entries()) {
    elements *= size;
    last += (size - 1) * strides[axis]!;
  }
  if (!empty && (!Number.isSafeInteger(elements) || !(last < storage.elements))) {
    throw new CheckpointError(
      `${where()}: its last element is number ${last} of storage ${shown(storage.key)}, which has ${storage.elements}`,
    );
  }
  return { storage, offset, shape, strides, elements: empty ? 0 : elements };
}

/** Bytes that `contiguous` would allocate: 0 for a view, else the size of the copy. */
export function copiedBytes(tensor: TorchTensor): number {
  const isView = tensor.elements === 0 || isContiguous(tensor);
  return isView ? 0 : tensor.elements * DTYPE_BYTES[tensor.storage.dtype];
}

/** Logical contents in C order: a view of the file if they are stored like that, else a copy. */
export function contiguous(tensor: TorchTensor): NamedTensor {
  const { storage, offset, shape } = tensor;
  const width = DTYPE_BYTES[storage.dtype];
  const start = offset * width;
  const data =
    tensor.elements === 0
      ? new Uint8Array(0)
      : isContiguous(tensor)
        ? storage.content().subarray(start, start + tensor.elements * width)
        : gathered(tensor, width);
  return { dtype: storage.dtype, shape, data };
}

function isContiguous({ shape, strides }: TorchTensor): boolean {
  let wanted = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== wanted) return false;
    wanted *= shape[axis]!;
  }
  return true;
}

/** Steps through the axes like an odometer; `at` is the element's index in the storage. */
function gathered(tensor: TorchTensor, width: number): Uint8Array {
  const { storage, offset, elements } = tensor;
  const axes = mergedAxes(tensor);
  const source = storage.content();
  const data = new Uint8Array(elements * width);
  const index = axes.map(() => 0);
  let at = offset;
  for (let element = 0; element < elements; element++) {
    for (let byte = 0; byte < width; byte++) {
      data[element * width + byte] = source[at * width + byte]!;
    }
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const { size, stride } = axes[axis]!;
      index[axis]! += 1;
      at += stride;
      if (index[axis]! < size) break;
      at -= size * stride;
      index[axis] = 0;
    }
  }
  return data;
}

/**
 * The same elements in the same order with as few axes as possible. Each axis has a size of at least two, so
 * the odometer takes less than two steps per element, however many axes a file claims.
 */
function mergedAxes({ shape, strides }: TorchTensor): { size: number; stride: number }[] {
  const merged: { size: number; stride: number }[] = [];
  for (const [axis, size] of shape.entries()) {
    if (size === 1) continue;
    const stride = strides[axis]!;
    const last = merged.at(-1);
    if (last !== undefined && last.stride === stride * size) {
      last.size *= size;
      last.stride = stride;
    } else {
      merged.push({ size, stride });
    }
  }
  return merged;
}
