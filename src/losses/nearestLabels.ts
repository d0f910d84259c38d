/** Resizes label maps to the size of feature maps by PyTorch's nearest-neighbour rule. */

/** Label maps of a batch: one class number per pixel, image after image, row-major. */
export interface LabelMaps {
  readonly data: Uint8Array;
  readonly images: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Output row i takes input row min(floor(i * s), H - 1) with s = H / h; likewise for columns.
 * Computed in float32, as torch.nn.functional.interpolate does: at a few sizes (62 -> 14) the
 * product falls below the exact integer.
 */
export function nearestLabels(labels: LabelMaps, height: number, width: number): LabelMaps {
  const rows = sourceIndices(labels.height, height);
  const columns = sourceIndices(labels.width, width);
  const data = new Uint8Array(labels.images * height * width);
  let at = 0;
  for (let image = 0; image < labels.images; image++) {
    for (const row of rows) {
      const base = (image * labels.height + row) * labels.width;
      for (const column of columns) data[at++] = labels.data[base + column]!;
    }
  }
  return { data, images: labels.images, height, width };
}

function sourceIndices(from: number, to: number): Int32Array {
  const scale = Math.fround(Math.fround(from) / Math.fround(to));
  return Int32Array.from({ length: to }, (_, i) =>
    Math.min(Math.floor(Math.fround(Math.fround(i) * scale)), from - 1),
  );
}
