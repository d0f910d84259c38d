/**
 * Averages an image's logits over all its views. H W: size of the image, h w: of a network's output,
 * K: classes. Memory: two arrays of the largest view's logits, and one batch of windows.
 */
import { float32, ops, readFloat32, scope, type Tensor } from '../tensor/index.js';
import { requireFiniteLogits } from './finiteLogits.js';
import { addView, addWindow, divideByCoverage } from './logitsSum.js';
import type { RemoteSegmenter } from './predict.js';
import type { Raster } from './raster.js';
import {
  resizeLogits,
  type View,
  type Views,
  viewCount,
  viewsOf,
  type WindowOptions,
} from './views.js';
import { coverage, cutWindow, layWindows, type Size } from './windows.js';

/**
 * Mean of the views' logits at the image's size, [1, H, W, K], which the caller must dispose of. Throws
 * NonFiniteLogitsError and the segmenter's errors.
 */
export async function viewLogits(
  segmenter: RemoteSegmenter,
  image: Raster,
  views: Views,
): Promise<Tensor> {
  const { height, width } = image;
  const { classes } = segmenter;
  const weight = 1 / viewCount(views);
  if (weight === 1 && views.window === null && views.scales[0] === 1) {
    return wholeLogits(segmenter, { ...image, mirrored: false }, image);
  }
  const sum_HWK = new Float32Array(height * width * classes);
  for (const view of viewsOf(image, views)) {
    const view_HWK = await oneView(segmenter, view, image, views.window);
    addView(sum_HWK, view_HWK, { width, classes }, { weight, mirrored: view.mirrored });
  }
  return float32(sum_HWK, [1, height, width, classes]);
}

/** What `read` makes of viewLogits; the logits go afterwards. */
export async function readViewLogits<Value>(
  segmenter: RemoteSegmenter,
  image: Raster,
  views: Views,
  read: (logits_1HWK: Tensor) => Value,
): Promise<Value> {
  const logits_1HWK = await viewLogits(segmenter, image, views);
  try {
    return read(logits_1HWK);
  } finally {
    logits_1HWK.dispose();
  }
}

/** Logits of one view at the image's size, mirrored if the view is. */
async function oneView(
  segmenter: RemoteSegmenter,
  view: View,
  image: Size,
  window: WindowOptions | null,
): Promise<Float32Array> {
  if (window !== null) {
    const logits = await windowLogits(segmenter, view, window);
    return resizeLogits(logits, view, image, segmenter);
  }
  const logits_1HWK = await wholeLogits(segmenter, view, image);
  try {
    return readFloat32(logits_1HWK);
  } finally {
    logits_1HWK.dispose();
  }
}

async function wholeLogits(
  segmenter: RemoteSegmenter,
  { height, width, rgb }: View,
  to: Size,
): Promise<Tensor> {
  const logits_1hwK = await segmenter.logits({ height, width, rgb: [rgb] });
  return resizedAndFreed(logits_1hwK, to, segmenter);
}

/** Mean logits over the windows of a view, [H * W * K] at the view's size. */
async function windowLogits(
  segmenter: RemoteSegmenter,
  view: View,
  { size, stride, batch }: WindowOptions,
): Promise<Float32Array> {
  const { classes } = segmenter;
  const windows = layWindows(view, size, stride);
  const { height, width, tops, lefts } = windows;
  const positions = tops.flatMap((top) => lefts.map((left) => ({ top, left, height, width })));
  const sum_HWK = new Float32Array(view.height * view.width * classes);
  for (let first = 0; first < positions.length; first += batch) {
    const batched = positions.slice(first, first + batch);
    const rgb = batched.map((position) => cutWindow(view.rgb, view.width, position));
    const logits_NhwK = await segmenter.logits({ height, width, rgb });
    const logits_NHWK = resizedAndFreed(logits_NhwK, windows, segmenter);
    try {
      batched.forEach((position, index) => {
        const window_hwK = scope(() => readFloat32(ops.rows(logits_NHWK, index, 1)));
        addWindow(sum_HWK, view.width, classes, window_hwK, position);
      });
    } finally {
      logits_NHWK.dispose();
    }
  }
  const rows_H = coverage(tops, height, view.height);
  const columns_W = coverage(lefts, width, view.width);
  divideByCoverage(sum_HWK, classes, rows_H, columns_W);
  return sum_HWK;
}

function resizedAndFreed(
  logits_NhwK: Tensor,
  { height, width }: Size,
  { alignCorners }: RemoteSegmenter,
): Tensor {
  try {
    requireFiniteLogits(logits_NhwK);
    return ops.resizeBilinear(logits_NhwK, height, width, alignCorners);
  } finally {
    logits_NhwK.dispose();
  }
}
