/**
 * Training crops beside real OpenCV, in the official loaders' order: scaling, mean, padding, cut, mirror. Labels are
 * equal; an image's bytes, which OpenCV interpolates with 11 bits, are at most one apart.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Augmentation,
  cropByPlan,
  type CropPlan,
  planCrop,
} from '../../../src/data/augment.js';
import { syntheticStreets } from '../../../src/data/syntheticStreets.js';
import type { Sample } from '../../../src/data/types.js';
import { normalise, OFFICIAL_NORMALISATION } from '../../../src/models/normalise.js';
import { drawsFor } from '../../../src/random/draws.js';
import { readFloat32, scope } from '../../../src/tensor/index.js';
import { OFFICIAL_SCALES } from '../../support/numerics/officialScales.js';
import { packagesPeer } from '../../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('cropsPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-crops-'));
after(() => rmSync(folder, { recursive: true }));

/** Odd; smaller than the crop at the small scales, larger at the large ones. */
const [HEIGHT, WIDTH] = [115, 151];
const AUGMENTATION: Augmentation = {
  ...{ isRandom: true, fixedCrops: 0, mirror: true, ...OFFICIAL_SCALES },
  ...{ cropHeight: 128, cropWidth: 128 },
  // The recipes' pixel: the mean, rounded.
  paddingPixel: [123, 117, 104],
};
const POSITIONS = 128 * 128;
/** A byte's rounding; the recipes' padding, which is at most 0.34 from the mean. */
const [PIXEL_APART, PADDING_APART] = [1.001, 0.34];
/** Of an image's bytes: OpenCV cuts off the last bits of its sums, and a tenth of them rounds differently. Seen: 0.102. */
const MEAN_APART = 0.15;

let sample: Sample;
let sizes: readonly (readonly [number, number])[] = [];
const plans = Array.from({ length: 64 }, (_, index) =>
  planCrop(HEIGHT, WIDTH, AUGMENTATION, drawsFor(5, 'test', index)),
);

before(async () => {
  const streets = syntheticStreets({
    ...{ split: 'train', samples: 1, height: HEIGHT, width: WIDTH, seed: 4 },
  });
  sample = await streets.load(0);
  // Some pixels without a label, as datasets have them.
  sample.labels.fill(255, 40 * WIDTH, 44 * WIDTH);
  writeFileSync(join(folder, 'image'), sample.rgb);
  writeFileSync(join(folder, 'labels'), sample.labels);
  const plan = {
    ...{ height: HEIGHT, width: WIDTH, crop: [128, 128], plans },
    ...{ image: join(folder, 'image'), labels: join(folder, 'labels') },
    mean_bgr: [104.00698793, 116.66876762, 122.67891434],
  };
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan));
  ({ sizes } = await packagesPeer<{ sizes: [number, number][] }>(
    PEER,
    join(folder, 'plan.json'),
    join(folder, 'crops'),
  ));
});

test('the plans have every official scale, both sides, and crops with and without padding', () => {
  const scales = new Set(plans.map(({ scale }) => scale.toFixed(1)));
  assert.equal(scales.size, 16, [...scales].sort().join());
  const count = (is: (plan: CropPlan) => boolean) => plans.filter(is).length;
  assert.ok(count(({ mirrored }) => mirrored) > 16 && count(({ mirrored }) => !mirrored) > 16);
  assert.ok(count(({ scaledHeight }) => scaledHeight < 128) > 8);
  assert.ok(count(({ scaledHeight }) => scaledHeight > 160) > 8);
});

test('scaled sizes are cv2.resize’s', () => {
  assert.deepEqual(
    plans.map(({ scaledHeight, scaledWidth }) => [scaledHeight, scaledWidth]),
    sizes,
  );
});

test('labels are equal, and the network’s input is that of the official loader within a byte’s rounding', () => {
  const { buffer } = Uint8Array.from(readFileSync(join(folder, 'crops')));
  let [sum, pixels, apartMost, paddedMost] = [0, 0, 0, 0];
  for (const [index, plan] of plans.entries()) {
    const begin = index * POSITIONS * 16;
    const wanted = new Float32Array(buffer, begin, POSITIONS * 3);
    const wantedLabels = new Int32Array(buffer, begin + POSITIONS * 12, POSITIONS);
    const { rgb, labels } = cropByPlan(sample, AUGMENTATION, plan);
    const own = Array.from(labels, (label) => (label === 255 ? -1 : label));
    assert.deepEqual(own, [...wantedLabels], JSON.stringify(plan));
    const input = scope(() =>
      readFloat32(normalise({ height: 128, width: 128, rgb: [rgb] }, OFFICIAL_NORMALISATION)),
    );
    for (const [i, value] of input.entries()) {
      const apart = Math.abs(value - wanted[i]!);
      // No byte less the mean is 0.
      if (wanted[i] === 0) {
        paddedMost = Math.max(paddedMost, apart);
      } else {
        apartMost = Math.max(apartMost, apart);
        sum += apart;
        pixels += 1;
      }
    }
  }
  const mean = sum / pixels;
  process.stderr.write(`pixels: ${apartMost} apart, mean ${mean}; padding ${paddedMost}\n`);
  assert.ok(apartMost <= PIXEL_APART, `${apartMost} apart`);
  assert.ok(paddedMost <= PADDING_APART, `padding ${paddedMost} apart`);
  assert.ok(mean < MEAN_APART, `${mean} apart in the mean`);
});
