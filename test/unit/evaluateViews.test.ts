/** Compares sliding windows, scales and mirroring with plain loops, using made-up segmenters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RemoteSegmenter, Segmenter } from '../../src/evaluate/predict.js';
import type { Raster } from '../../src/evaluate/raster.js';
import { viewLogits } from '../../src/evaluate/viewLogits.js';
import { mirrorPixels, PLAIN_VIEW, type Views } from '../../src/evaluate/views.js';
import { coverage, layWindows, usualStride } from '../../src/evaluate/windows.js';
import type { PixelImages } from '../../src/models/normalise.js';
import { float32, numTensors, readFloat32 } from '../../src/tensor/index.js';

const CLASSES = 2;

/** An image in which all pixels differ; red counts the pixels. */
function numbered(height: number, width: number): Raster {
  const rgb = Uint8Array.from({ length: height * width * 3 }, (_, i) =>
    i % 3 === 0 ? i / 3 : (i * 31) % 251,
  );
  return { height, width, rgb };
}

/**
 * Logits at the input's size that depend on the pixel and on its position in the input, as a network's do
 * near the border of a crop: [red + 100 * row, green - 10 * column].
 */
function positional({ height, width, rgb }: PixelImages): Float32Array {
  return Float32Array.from({ length: rgb.length * height * width * CLASSES }, (_, i) => {
    const pixel = Math.floor(i / CLASSES) % (height * width);
    const image = rgb[Math.floor(i / CLASSES / (height * width))]!;
    const [row, column] = [Math.floor(pixel / width), pixel % width];
    return i % 2 === 0 ? image[pixel * 3]! + 100 * row : image[pixel * 3 + 1]! - 10 * column;
  });
}

interface Recorded {
  readonly segmenter: Segmenter;
  readonly batches: { images: number; height: number; width: number }[];
}

function recorded(): Recorded {
  const batches: Recorded['batches'] = [];
  return {
    batches,
    segmenter: {
      classes: CLASSES,
      alignCorners: true,
      logits(images) {
        const { height, width, rgb } = images;
        batches.push({ images: rgb.length, height, width });
        return float32(positional(images), [rgb.length, height, width, CLASSES]);
      },
    },
  };
}

async function logitsOf(segmenter: RemoteSegmenter, image: Raster, views: Views) {
  const tensor = await viewLogits(segmenter, image, views);
  assert.deepEqual(tensor.shape, [1, image.height, image.width, segmenter.classes]);
  const values = readFloat32(tensor);
  tensor.dispose();
  return values;
}

function assertClose(got: Float32Array, wanted: ArrayLike<number>, within: number): void {
  assert.equal(got.length, wanted.length);
  const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
  assert.ok(worst <= within, `off by ${worst}, wanted at most ${within}`);
}

/** Reference: for each pixel, searches all windows for those that cover it and averages them. */
function slidingByHand(image: Raster, size: number, stride: number): number[] {
  const { height, width, rgb } = image;
  const sum = new Array<number>(height * width * CLASSES).fill(0);
  const count = new Array<number>(height * width).fill(0);
  const begins = (length: number) => {
    const found = [0];
    while (found.at(-1)! + size < length) {
      found.push(Math.min(found.at(-1)! + stride, length - size));
    }
    return found;
  };
  for (const top of begins(height)) {
    for (const left of begins(width)) {
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const pixel = (top + y) * width + left + x;
          sum[pixel * 2]! += rgb[pixel * 3]! + 100 * y;
          sum[pixel * 2 + 1]! += rgb[pixel * 3 + 1]! - 10 * x;
          count[pixel]! += 1;
        }
      }
    }
  }
  return sum.map((value, i) => value / count[i >> 1]!);
}

test('windows: the last ends at the border, all of one size, a small image is one window', () => {
  const square = (side: number) => ({ height: side, width: side });
  assert.deepEqual(layWindows({ height: 10, width: 7 }, square(6), square(4)), {
    height: 6,
    width: 6,
    tops: [0, 4],
    lefts: [0, 1],
  });
  assert.deepEqual(layWindows({ height: 13, width: 6 }, square(6), square(4)).tops, [0, 4, 7]);
  assert.deepEqual(layWindows({ height: 4, width: 9 }, square(6), square(6)), {
    height: 4,
    width: 6,
    tops: [0],
    lefts: [0, 3],
  });
  assert.deepEqual([...coverage([0, 1], 6, 7)], [1, 2, 2, 2, 2, 2, 1]);
  assert.deepEqual(usualStride({ height: 512, width: 1024 }), { height: 342, width: 683 });
});

test('sliding windows: each pixel gets the mean of its windows, whatever the batch', async () => {
  const image = numbered(11, 17);
  const wanted = slidingByHand(image, 6, 4);
  for (const batch of [1, 3, 100]) {
    const { segmenter, batches } = recorded();
    const window = { size: { height: 6, width: 6 }, stride: { height: 4, width: 4 }, batch };
    assertClose(await logitsOf(segmenter, image, { ...PLAIN_VIEW, window }), wanted, 1e-4);
    // 3 x 4 windows, all of one size, never more at once than the batch.
    assert.equal(
      batches.reduce((sum, { images }) => sum + images, 0),
      12,
    );
    assert.equal(batches.length, Math.ceil(12 / batch));
    assert.ok(
      batches.every(({ height, width }) => height === 6 && width === 6),
      'other sizes',
    );
  }
});

test('flip: the mean of the image and its mirror image, mirrored back', async () => {
  const image = numbered(2, 3);
  assert.deepEqual(
    [...mirrorPixels(image)].filter((_, i) => i % 3 === 0),
    [2, 1, 0, 5, 4, 3],
  );
  const { segmenter } = recorded();
  const got = await logitsOf(segmenter, image, { ...PLAIN_VIEW, flip: true });
  // A pixel at column x is evaluated at x and at 2 - x, so the mean of the column term is -10.
  const wanted = [0, 1, 2, 3, 4, 5].flatMap((pixel) => [
    pixel + 100 * Math.floor(pixel / 3),
    image.rgb[pixel * 3 + 1]! - 10,
  ]);
  assertClose(got, wanted, 1e-4);
});

test('scales: size rounded down, bilinear both ways with aligned corners, then the mean', async () => {
  // Half of 5 is 2: only the corners. The mean of their logits, resized to 5 columns, and the plain ones.
  const image = { height: 1, width: 5, rgb: new Uint8Array(15) };
  for (let x = 0; x < 5; x++) image.rgb[x * 3] = 10 * x * x;
  const red: Segmenter = {
    classes: 1,
    alignCorners: true,
    logits: ({ height, width, rgb }) =>
      float32(
        Float32Array.from({ length: height * width }, (_, i) => rgb[0]![i * 3]!),
        [1, height, width, 1],
      ),
  };
  const half = await logitsOf(red, image, { ...PLAIN_VIEW, scales: [0.5] });
  assertClose(half, [0, 40, 80, 120, 160], 1e-3);
  const both = await logitsOf(red, image, { ...PLAIN_VIEW, scales: [0.5, 1] });
  assertClose(both, [0, 25, 60, 105, 160], 1e-3);
  // 1.5 times 5 is 7: the corners and the middle keep their pixels.
  const larger = await logitsOf(red, image, { ...PLAIN_VIEW, scales: [1.5] });
  assertClose(
    larger.filter((_, i) => i % 2 === 0),
    [0, 40, 160],
    1e-3,
  );
});

test('scaled images keep fractions, and scales smaller than a pixel leave one', async () => {
  const seen: PixelImages[] = [];
  const watcher: Segmenter = {
    classes: 1,
    alignCorners: true,
    logits(images) {
      seen.push(images);
      return float32(new Float32Array(images.height * images.width), [
        1,
        images.height,
        images.width,
        1,
      ]);
    },
  };
  const image = { height: 1, width: 2, rgb: Uint8Array.of(0, 0, 0, 9, 0, 0) };
  await logitsOf(watcher, image, { ...PLAIN_VIEW, scales: [1, 2.5, 0.1] });
  assert.deepEqual(
    seen.map(({ width }) => width),
    [2, 5, 1],
  );
  assert.deepEqual([seen[1]!.rgb[0]![3], seen[1]!.rgb[0]![6]], [2.25, 4.5]);
});

test('windows, scales and mirroring together are the mean of each alone; nothing leaks', async () => {
  const image = numbered(9, 12);
  const window = {
    size: { height: 5, width: 6 },
    stride: { height: 3, width: 4 },
    batch: 2,
  };
  const { segmenter } = recorded();
  const all: Views = { scales: [0.75, 1], flip: true, window };
  await logitsOf(segmenter, image, all);
  const before = numTensors();
  const got = await logitsOf(segmenter, image, all);
  assert.equal(numTensors(), before);
  const mirrored = { ...image, rgb: mirrorPixels(image) };
  const parts: Float32Array[] = [];
  for (const scale of [0.75, 1]) {
    const views = { scales: [scale], flip: false, window };
    parts.push(await logitsOf(segmenter, image, views));
    const back = await logitsOf(segmenter, mirrored, views);
    parts.push(
      back.map((_, i) => {
        const [pixel, k] = [Math.floor(i / CLASSES), i % CLASSES];
        const row = Math.floor(pixel / 12);
        return back[(row * 12 + 11 - (pixel % 12)) * CLASSES + k]!;
      }),
    );
  }
  const mean = got.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0) / 4);
  assertClose(got, mean, 2e-4);
});

test('an asynchronous segmenter works, and nothing leaks if it fails', async () => {
  const image = numbered(6, 8);
  const { segmenter } = recorded();
  const later: RemoteSegmenter = {
    classes: CLASSES,
    alignCorners: true,
    logits: async (images) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return segmenter.logits(images);
    },
  };
  const window = { size: { height: 4, width: 4 }, stride: { height: 2, width: 2 }, batch: 2 };
  const views: Views = { scales: [1], flip: true, window };
  const here = await logitsOf(segmenter, image, views);
  const before = numTensors();
  assert.deepEqual(await logitsOf(later, image, views), here);
  let asked = 0;
  const failing: RemoteSegmenter = {
    classes: CLASSES,
    alignCorners: true,
    logits: async (images) => {
      asked += 1;
      if (asked === 3) throw new Error('gone');
      return segmenter.logits(images);
    },
  };
  await assert.rejects(viewLogits(failing, image, views), /gone/);
  assert.equal(numTensors(), before);
});

test("logits are resized to the view and to the image with the network's alignCorners", async () => {
  const image = numbered(1, 4);
  const sloping = (alignCorners: boolean): Segmenter => ({
    classes: 1,
    alignCorners,
    logits: () => float32(Float32Array.of(0, 8), [1, 1, 2, 1]),
  });
  // Pixel i lies at i / 3 between the two positions, or at (i + 0.5) / 2 - 0.5, clamped at the borders.
  assertClose(await logitsOf(sloping(true), image, PLAIN_VIEW), [0, 8 / 3, 16 / 3, 8], 1e-5);
  assertClose(await logitsOf(sloping(false), image, PLAIN_VIEW), [0, 2, 6, 8], 1e-5);
  // One window at twice the size; from there to the image at 0.5, 2.5, 4.5 and 6.5 of 0 0 1 3 5 7 8 8.
  const window = { size: { height: 2, width: 8 }, stride: { height: 2, width: 8 }, batch: 1 };
  const views: Views = { scales: [2], flip: false, window };
  assertClose(await logitsOf(sloping(false), image, views), [0, 2, 6, 8], 1e-5);
});
