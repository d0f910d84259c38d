import assert from 'node:assert/strict';
import { test } from 'node:test';
import { teacherLabels } from '../../src/distill/teacherLabels.js';
import { float32, numTensors, scope } from '../../src/tensor/index.js';

const [N, h, w, K, H, W] = [2, 3, 4, 5, 11, 13];

/** A fixed pattern in which no two logits are equal. */
const LOGITS = Float32Array.from({ length: N * h * w * K }, (_, i) => 3 * Math.sin(1.7 * i + 0.3));

/** Crops of 8 labelled rows above three of padding. */
function crops(value = 254) {
  const data = new Uint8Array(N * H * W).fill(value);
  for (let image = 0; image < N; image++) {
    data.fill(255, (image * H + 8) * W, (image + 1) * H * W);
  }
  return { data, images: N, height: H, width: W };
}

const labels = (minConfidence: number, given = crops(), logits = LOGITS, alignCorners = true) =>
  scope(() => teacherLabels(float32(logits, [N, h, w, K]), given, { minConfidence, alignCorners }));

/** A pixel's place between positions: aligned corners (golden/README.md, 3) or half-pixel centres. */
function between(pixel: number, size: number, pixels: number, alignCorners: boolean): number {
  if (alignCorners) return (pixel * (size - 1)) / (pixels - 1);
  return Math.min(size - 1, Math.max(0, ((pixel + 0.5) * size) / pixels - 0.5));
}

/** The bilinearly interpolated logit of one class at one pixel. */
function logitAt([image, y, x, k]: readonly number[], alignCorners: boolean): number {
  const atY = between(y!, h, H, alignCorners);
  const atX = between(x!, w, W, alignCorners);
  const [top, left] = [Math.floor(atY), Math.floor(atX)];
  const at = (row: number, column: number) => {
    const [inRow, inColumn] = [Math.min(row, h - 1), Math.min(column, w - 1)];
    return LOGITS[((image! * h + inRow) * w + inColumn) * K + k!]!;
  };
  const mix = (a: number, b: number, weight: number) => a + weight * (b - a);
  const above = mix(at(top, left), at(top, left + 1), atX - left);
  const below = mix(at(top + 1, left), at(top + 1, left + 1), atX - left);
  return mix(above, below, atY - top);
}

/** The same by a plain loop in double precision; null if the probability is too close to the threshold. */
function plain(minConfidence: number, alignCorners = true): (number | null)[] {
  const all: (number | null)[] = [];
  for (let image = 0; image < N; image++) {
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        const logits = Array.from({ length: K }, (_, k) => logitAt([image, y, x, k], alignCorners));
        const best = Math.max(...logits);
        const confidence = 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0);
        const [first, second] = logits.toSorted((a, b) => b - a) as [number, number];
        if (y >= 8 || confidence < minConfidence - 1e-6) all.push(255);
        else if (confidence < minConfidence + 1e-6 || first - second < 1e-5) all.push(null);
        else all.push(logits.indexOf(best));
      }
    }
  }
  return all;
}

test('arg-max of the upsampled logits, where its probability is above the threshold', () => {
  for (const minConfidence of [0, 0.4, 0.6, 0.9]) {
    const wanted = plain(minConfidence);
    const { data, images, height, width } = labels(minConfidence);
    assert.deepEqual([images, height, width, data.length], [N, H, W, wanted.length]);
    const known = wanted.map((label, i) => label ?? data[i]!);
    assert.ok(wanted.filter((label) => label === null).length <= 2, 'too many near calls');
    assert.deepEqual([...data], known, `minConfidence ${minConfidence}`);
  }
  const sure = [0, 0.4, 0.6, 0.9].map((min) => plain(min).filter((label) => label !== 255).length);
  assert.deepEqual(
    sure,
    sure.toSorted((a, b) => b - a),
  );
  assert.ok(sure[0]! > sure[2]! && sure[2]! > 0, `thresholds that tell nothing: ${sure}`);
});

test('logits of a network with half-pixel centres are resized that way', () => {
  const wanted = plain(0.6, false);
  const { data } = labels(0.6, crops(), LOGITS, false);
  const known = wanted.map((label, i) => label ?? data[i]!);
  assert.ok(wanted.filter((label) => label === null).length <= 2, 'too many near calls');
  assert.deepEqual([...data], known);
  assert.notDeepEqual(data, labels(0.6).data);
});

test('padding stays ignored for any labels elsewhere, and the crop is unchanged', () => {
  const given = crops(0);
  const before = given.data.slice();
  assert.deepEqual(labels(0.5, given), labels(0.5));
  assert.deepEqual(given.data, before);
  const padding = { ...given, data: new Uint8Array(N * H * W).fill(255) };
  assert.ok(
    labels(0, padding).data.every((label) => label === 255),
    'a label on padding',
  );
});

test('the first of equal logits wins; logits that overflow exp are accepted', () => {
  const equal = new Float32Array(LOGITS.length);
  assert.ok(
    labels(0.19, crops(), equal).data.every(
      (label, i) => label === (i % (H * W) < 8 * W ? 0 : 255),
    ),
    'another class than the first',
  );
  assert.ok(
    labels(0.21, crops(), equal).data.every((label) => label === 255),
    'a label below the threshold',
  );
  const huge = LOGITS.map((_, i) => (i % K === 3 ? 1e30 : -1e30));
  assert.ok(
    labels(0.999, crops(), huge).data.every(
      (label, i) => label === (i % (H * W) < 8 * W ? 3 : 255),
    ),
    'not class 3',
  );
});

test("logits of the crop's size are used unchanged", () => {
  const logits = Float32Array.of(0, 2, 5, 1);
  const given = { data: Uint8Array.of(254, 254), images: 1, height: 1, width: 2 };
  const options = { minConfidence: 0.95, alignCorners: true };
  const got = scope(() => teacherLabels(float32(logits, [1, 1, 2, 2]), given, options));
  // sigmoid(2) = 0.88, sigmoid(4) = 0.98
  assert.deepEqual([...got.data], [255, 0]);
});

test('a different number of images is refused; no tensor is left', () => {
  const before = numTensors();
  labels(0.5);
  assert.throws(() => labels(0, { ...crops(), images: 3 }), {
    name: 'RangeError',
    message: 'logits: 2 images, wanted 3',
  });
  assert.equal(numTensors(), before);
});
