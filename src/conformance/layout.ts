/**
 * Golden files are channels-first (PyTorch); the code under test is channels-last.
 * Legend: N batch, C channels, H rows, W columns.
 */
import type { Float32HostTensor } from './operation.js';

/** [N, C, H, W] to [N, H, W, C]. */
export function toChannelsLast(tensor: Float32HostTensor): Float32HostTensor {
  const [n, c, h, w] = fourSizes(tensor.shape);
  return { data: swap(tensor.data, n, c, h * w), shape: [n, h, w, c] };
}

/** [N, H, W, C] to [N, C, H, W]. */
export function toChannelsFirst(data: Float32Array, shape: readonly number[]): Float32HostTensor {
  const [n, h, w, c] = fourSizes(shape);
  return { data: swap(data, n, h * w, c), shape: [n, c, h, w] };
}

/** [outer, rows, columns] to [outer, columns, rows]. */
function swap(data: Float32Array, outer: number, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let base = 0; base < data.length; base += rows * columns) {
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < columns; k++) {
        result[base + k * rows + r] = data[base + r * columns + k]!;
      }
    }
  }
  if (data.length !== outer * rows * columns) {
    throw new Error(`data: ${data.length} elements given, wanted ${outer * rows * columns}`);
  }
  return result;
}

function fourSizes(shape: readonly number[]): [number, number, number, number] {
  if (shape.length !== 4) throw new Error(`shape: [${shape}] given, wanted four sizes`);
  return shape as unknown as [number, number, number, number];
}
