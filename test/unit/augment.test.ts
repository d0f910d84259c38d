import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Augmentation,
  augment,
  cropByPlan,
  epochOfDraws,
  planCrop,
} from '../../src/data/augment.js';
import { IGNORE_LABEL, type Sample } from '../../src/data/types.js';
import { drawsFor } from '../../src/random/draws.js';
import { OFFICIAL_SCALES } from '../support/numerics/officialScales.js';

const PLAIN: Augmentation = {
  isRandom: true,
  fixedCrops: 0,
  cropHeight: 2,
  cropWidth: 4,
  ...OFFICIAL_SCALES,
  mirror: false,
  paddingPixel: [7, 8, 9],
};

/** A grey image from a table of rows; the label of each pixel is its index. */
function grey(rows: readonly (readonly number[])[]): Sample {
  const values = rows.flat();
  return {
    height: rows.length,
    width: rows[0]!.length,
    rgb: Uint8Array.from(values.flatMap((v) => [v, v, v])),
    labels: Uint8Array.from(values, (_, i) => i),
  };
}

function channel(rgb: Uint8Array, which: 0 | 1 | 2): number[] {
  return [...rgb].filter((_, i) => i % 3 === which);
}

const plan = { top: 0, left: 0, mirrored: false };

describe('cropByPlan', () => {
  it('keeps the pixels at scale 1', () => {
    const sample = grey([
      [10, 20, 30, 40],
      [50, 60, 70, 80],
    ]);
    const crop = cropByPlan(sample, PLAIN, { ...plan, scale: 1, scaledHeight: 2, scaledWidth: 4 });
    assert.deepEqual(channel(crop.rgb, 0), [10, 20, 30, 40, 50, 60, 70, 80]);
    assert.deepEqual([...crop.labels], [0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('doubles as cv2.resize does', () => {
    // Columns sample at (x + 0.5) / 2 - 0.5 = -0.25, 0.25, 0.75, 1.25 of [0, 100], clamped at the
    // border: 0, 25, 75, 100. Rows likewise between [0, 100] and [40, 200]:
    // row 0 is the first source row, row 1 a quarter of the way to the second.
    const sample = grey([
      [0, 100],
      [40, 200],
    ]);
    const crop = cropByPlan(
      sample,
      { ...PLAIN, cropHeight: 4 },
      { ...plan, scale: 2, scaledHeight: 4, scaledWidth: 4 },
    );
    const expected = [
      [0, 25, 75, 100],
      // 0.75 · row 0 + 0.25 · [40, 80, 160, 200] = 10, 38.75, 96.25, 125.
      [10, 39, 96, 125],
      // 0.25 · row 0 + 0.75 · [40, 80, 160, 200] = 30, 66.25, 138.75, 175.
      [30, 66, 139, 175],
      [40, 80, 160, 200],
    ];
    assert.deepEqual(channel(crop.rgb, 1), expected.flat());
    // Labels take floor(x / 2).
    assert.deepEqual([...crop.labels], [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]);
  });

  it('halves: the mean of 2 x 2 pixels, the label of the upper left one', () => {
    const sample = grey([
      [0, 10, 100, 120],
      [20, 31, 140, 160],
    ]);
    const crop = cropByPlan(
      sample,
      { ...PLAIN, cropHeight: 1, cropWidth: 2 },
      { ...plan, scale: 0.5, scaledHeight: 1, scaledWidth: 2 },
    );
    // (0 + 10 + 20 + 31) / 4 = 15.25; (100 + 120 + 140 + 160) / 4 = 130.
    assert.deepEqual(channel(crop.rgb, 2), [15, 130]);
    assert.deepEqual([...crop.labels], [0, 2]);
  });

  it('scales by 1.5: pixels at -1/6, 1/2, 7/6, labels at 0, 0, 1', () => {
    const sample = grey([[0, 60]]);
    const crop = cropByPlan(
      sample,
      { ...PLAIN, cropHeight: 1, cropWidth: 3 },
      { ...plan, scale: 1.5, scaledHeight: 1, scaledWidth: 3 },
    );
    assert.deepEqual(channel(crop.rgb, 0), [0, 30, 60]);
    assert.deepEqual([...crop.labels], [0, 0, 1]);
  });

  it('pads on the right and below, before it mirrors', () => {
    const sample = grey([[10, 20]]);
    const at = { ...plan, scale: 1, scaledHeight: 1, scaledWidth: 2 };
    const crop = cropByPlan(sample, PLAIN, at);
    assert.deepEqual(channel(crop.rgb, 0), [10, 20, 7, 7, 7, 7, 7, 7]);
    assert.deepEqual(channel(crop.rgb, 1), [10, 20, 8, 8, 8, 8, 8, 8]);
    assert.deepEqual(channel(crop.rgb, 2), [10, 20, 9, 9, 9, 9, 9, 9]);
    const none = IGNORE_LABEL;
    assert.deepEqual([...crop.labels], [0, 1, none, none, none, none, none, none]);
    const mirrored = cropByPlan(sample, PLAIN, { ...at, mirrored: true });
    assert.deepEqual(channel(mirrored.rgb, 0), [7, 7, 20, 10, 7, 7, 7, 7]);
    assert.deepEqual([...mirrored.labels], [none, none, 1, 0, none, none, none, none]);
  });

  it('cuts out the planned window', () => {
    const sample = grey([
      [0, 1, 2, 3],
      [10, 11, 12, 13],
      [20, 21, 22, 23],
    ]);
    const crop = cropByPlan(
      sample,
      { ...PLAIN, cropWidth: 2 },
      { top: 1, left: 2, mirrored: true, scale: 1, scaledHeight: 3, scaledWidth: 4 },
    );
    assert.deepEqual(channel(crop.rgb, 0), [13, 12, 23, 22]);
    assert.deepEqual([...crop.labels], [7, 6, 11, 10]);
  });
});

describe('planCrop', () => {
  const plans = Array.from({ length: 4000 }, (_, i) =>
    planCrop(
      100,
      200,
      { ...PLAIN, cropHeight: 90, cropWidth: 180, mirror: true },
      drawsFor(1, 'test', i),
    ),
  );

  it('draws the sixteen official scales about equally often', () => {
    const counts = new Map<number, number>();
    for (const { scale } of plans) counts.set(scale, (counts.get(scale) ?? 0) + 1);
    const official = Array.from({ length: 16 }, (_, k) => 0.5 + k / 10);
    assert.deepEqual(
      [...counts.keys()].sort((a, b) => a - b),
      official,
    );
    for (const [scale, count] of counts)
      assert.ok(count > 170 && count < 340, `${scale}: ${count}`);
  });

  it('keeps every window inside, reaches both ends, and mirrors half of them', () => {
    const doubled = plans.filter((p) => p.scale === 2);
    for (const { top, left, scaledHeight, scaledWidth } of plans) {
      assert.ok(top >= 0 && top <= Math.max(scaledHeight - 90, 0), `top ${top}`);
      assert.ok(left >= 0 && left <= Math.max(scaledWidth - 180, 0), `left ${left}`);
    }
    assert.ok(Math.min(...doubled.map((p) => p.top)) < 5, 'no crop near the top');
    assert.ok(Math.max(...doubled.map((p) => p.top)) > 105, 'no crop near the bottom');
    const mirrored = plans.filter((p) => p.mirrored).length;
    assert.ok(mirrored > 1850 && mirrored < 2150, `${mirrored}`);
  });

  it('rounds sizes half to even, as OpenCV does', () => {
    const fixed = { ...PLAIN, scaleMin: 0.5, scaleMax: 0.5 };
    assert.equal(planCrop(5, 7, fixed, drawsFor(1, 'test')).scaledHeight, 2);
    assert.equal(planCrop(5, 7, fixed, drawsFor(1, 'test')).scaledWidth, 4);
  });

  it('draws any factor with scaleStep 0; mirroring changes no other draw', () => {
    const smooth = { ...PLAIN, scaleStep: 0 };
    const scales = Array.from({ length: 200 }, (_, i) => {
      const { scale, top } = planCrop(100, 200, smooth, drawsFor(2, 'test', i));
      const twin = planCrop(100, 200, { ...smooth, mirror: true }, drawsFor(2, 'test', i));
      assert.deepEqual([twin.scale, twin.top], [scale, top]);
      assert.ok(scale >= 0.5 && scale < 2, `scale ${scale}`);
      return scale;
    });
    assert.equal(new Set(scales).size, 200);
  });
});

describe('augment', () => {
  it('is a function of sample, options and draws', () => {
    const sample = grey(
      Array.from({ length: 12 }, (_, y) => Array.from({ length: 20 }, (_, x) => 10 * y + x)),
    );
    const options = { ...PLAIN, cropHeight: 9, cropWidth: 11, mirror: true };
    const before = sample.rgb.slice();
    const crops = [1, 1, 2].map((i) => augment(sample, options, drawsFor(1, 'test', i)));
    assert.deepEqual(crops[0], crops[1]);
    assert.notDeepEqual(crops[0], crops[2]);
    assert.deepEqual(sample.rgb, before);
  });
});

it('not random: the centre of the unscaled image, whatever is drawn', () => {
  const off = { ...PLAIN, ...{ isRandom: false, mirror: true, cropHeight: 2, cropWidth: 2 } };
  const sample = grey([
    [0, 0, 0, 0, 0],
    [0, 1, 2, 0, 0],
    [0, 3, 4, 0, 0],
    [0, 0, 0, 0, 0],
  ]);
  for (const seed of [1, 2, 3]) {
    const { rgb } = augment(sample, off, drawsFor(seed, 'augmentation', seed, 0));
    assert.deepEqual(
      [...rgb].filter((_, i) => i % 3 === 0),
      [1, 2, 3, 4],
    );
  }
  // Smaller than the crop: padded on the right and below, as always.
  const plan = planCrop(1, 1, off, drawsFor(1, 'augmentation', 0, 0));
  assert.deepEqual([plan.top, plan.left, plan.scale], [0, 0, 1]);
});

it('crops come again after as many epochs as there are different ones', () => {
  const epochs = (fixedCrops: number, isRandom = true) =>
    [0, 1, 2, 3, 4].map((epoch) => epochOfDraws({ fixedCrops, isRandom }, epoch));
  assert.deepEqual(epochs(0), [0, 1, 2, 3, 4]);
  assert.deepEqual(epochs(1), [0, 0, 0, 0, 0]);
  assert.deepEqual(epochs(2), [0, 1, 0, 1, 0]);
  assert.deepEqual(epochs(0, false), [0, 0, 0, 0, 0]);
});
