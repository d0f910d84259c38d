import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dataset, Sample } from '../../src/data/types.js';
import { DataError, IGNORE_LABEL, UNLABELLED } from '../../src/data/types.js';
import { ConfusionMatrix, scores } from '../../src/evaluate/confusion.js';
import { classesCsv, confusionCsv } from '../../src/evaluate/csv.js';
import { evaluateDataset } from '../../src/evaluate/evaluateDataset.js';
import { NonFiniteLogitsError } from '../../src/evaluate/finiteLogits.js';
import { predictLabels, type Segmenter } from '../../src/evaluate/predict.js';
import { confusionTable, scoreReport, scoreTable } from '../../src/evaluate/scoreTable.js';
import { SegmentationMetric } from '../../src/evaluate/segmentationMetric.js';
import { float32, numTensors, scope } from '../../src/tensor/index.js';
import { PALETTE, twoHalves } from '../support/datasets/twoHalves.js';

test('scores computed by hand: an absent class counts 0 in miou and not at all in miouPresent', () => {
  const confusion = new ConfusionMatrix(3);
  // truth 0: two right, one predicted as 1; truth 1: one right; one pixel ignored; class 2 absent.
  confusion.add(Uint8Array.of(0, 0, 1, 1, 2), Uint8Array.of(0, 0, 0, 1, IGNORE_LABEL));
  const result = scores(confusion);
  assert.deepEqual([...result.intersection], [2, 1, 0]);
  assert.deepEqual([...result.union], [3, 2, 0]);
  assert.equal(result.iou[0], 2 / 3);
  assert.equal(result.iou[1], 1 / 2);
  assert.equal(result.iou[2], 0);
  assert.ok(Math.abs(result.miou - 7 / 18) < 1e-12, `${result.miou}, wanted ${7 / 18}`);
  assert.ok(
    Math.abs(result.miouPresent - 7 / 12) < 1e-12,
    `${result.miouPresent}, wanted ${7 / 12}`,
  );
  assert.equal(result.pixelAccuracy, 3 / 4);
});

test('scores: no labelled pixel gives zeros, not NaN', () => {
  const confusion = new ConfusionMatrix(2);
  confusion.add(Uint8Array.of(1), Int32Array.of(-1));
  const { miou, miouPresent, pixelAccuracy, labelled } = scores(confusion);
  assert.deepEqual([miou, miouPresent, pixelAccuracy, labelled], [0, 0, 0, 0]);
});

test('confusion: a label out of range and a wrong length are refused, merge adds', () => {
  const confusion = new ConfusionMatrix(2);
  assert.throws(() => confusion.add(Uint8Array.of(0), Uint8Array.of(2)), /label: class 2 given/);
  assert.throws(() => confusion.add(Uint8Array.of(0, 1), Uint8Array.of(1)), /labels: 1 pixels/);
  confusion.add(Uint8Array.of(1), Uint8Array.of(1));
  const other = new ConfusionMatrix(2);
  other.add(Uint8Array.of(0), Uint8Array.of(1));
  confusion.merge(other);
  assert.deepEqual([...confusion.counts], [0, 0, 1, 1]);
  assert.throws(() => confusion.merge(new ConfusionMatrix(3)), /classes: 3 given, wanted 2/);
});

/** Logits that predict a pixel's strongest colour channel as its class, at half the image's size. */
const brightest: Segmenter = {
  classes: 3,
  alignCorners: true,
  logits({ height, width, rgb: [rgb] }) {
    const half = new Float32Array((height / 2) * (width / 2) * 3);
    for (let y = 0; y < height / 2; y++) {
      for (let x = 0; x < width / 2; x++) {
        for (let c = 0; c < 3; c++) {
          half[(y * (width / 2) + x) * 3 + c] = rgb![(y * 2 * width + x * 2) * 3 + c]!;
        }
      }
    }
    return float32(half, [1, height / 2, width / 2, 3]);
  },
};

function datasetOf(samples: readonly Sample[], classes = 3): Dataset {
  return {
    name: 'halves',
    classNames: ['a', 'b', 'c'].slice(0, classes),
    palette: PALETTE,
    samples: samples.map((_, i) => `half-${i}`),
    digest: '',
    load: async (index) => samples[index]!,
  };
}

test('predictLabels: logits are resized with aligned corners; of equal logits the first class wins', () => {
  const sample = twoHalves(0, 2);
  assert.deepEqual([...predictLabels(brightest, sample)], [...sample.labels]);
  const flat: Segmenter = {
    classes: 3,
    alignCorners: true,
    logits: () => float32(new Float32Array(3), [1, 1, 1, 3]),
  };
  assert.deepEqual([...predictLabels(flat, { ...sample, height: 1, width: 2 })], [0, 0]);
});

test("predictLabels: logits are resized with half-pixel centres if that is the network's setting", () => {
  // One row of two positions: class 0 wins to the left of the point where the logits cross.
  const sloping = (alignCorners: boolean): Segmenter => ({
    classes: 2,
    alignCorners,
    logits: () => float32(Float32Array.of(1, 0, 0, 3), [1, 1, 2, 2]),
  });
  const image = { height: 1, width: 8, rgb: new Uint8Array(24) };
  // They cross at a quarter of the way: 1 - t = 3 t. Pixel i is at i / 7, or at (i + 0.5) / 4 - 0.5.
  assert.deepEqual([...predictLabels(sloping(true), image)], [0, 0, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual([...predictLabels(sloping(false), image)], [0, 0, 0, 1, 1, 1, 1, 1]);
});

test('non-finite logits are refused, because their arg-max would be a class', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const broken: Segmenter = {
      classes: 3,
      alignCorners: true,
      logits: () => float32(Float32Array.of(0, 1, 0, 0, value, 0), [1, 1, 2, 3]),
    };
    const sample = twoHalves(0, 1);
    const before = numTensors();
    assert.throws(() => predictLabels(broken, sample), NonFiniteLogitsError);
    await assert.rejects(evaluateDataset(broken, datasetOf([sample])), NonFiniteLogitsError);
    assert.equal(numTensors(), before);
  }
});

test('evaluateDataset: counts every sample, passes on predictions, leaks nothing', async () => {
  const wrong = twoHalves(0, 1);
  wrong.labels.fill(2, 0, 16);
  const dataset = datasetOf([twoHalves(0, 1), twoHalves(1, 2), wrong]);
  predictLabels(brightest, wrong);
  const before = numTensors();
  const names: string[] = [];
  const result = await evaluateDataset(brightest, dataset, {
    onSample: ({ name, prediction }) => {
      names.push(name);
      assert.equal(prediction.length, 32);
    },
  });
  assert.deepEqual(names, ['half-0', 'half-1', 'half-2']);
  assert.equal(result.correct, 32 + 32 + 16);
  assert.equal(result.pixelAccuracy, 80 / 96);
  assert.equal(numTensors(), before);
  const first = await evaluateDataset(brightest, dataset, { limit: 1 });
  assert.equal(first.labelled, 32);
  assert.equal(first.miouPresent, 1);
});

test('evaluateDataset: other classes, no samples and an unreadable sample are DataErrors', async () => {
  await assert.rejects(evaluateDataset(brightest, datasetOf([twoHalves(0, 1)], 2)), DataError);
  await assert.rejects(evaluateDataset(brightest, datasetOf([])), /no samples/);
  const unlabelled = { ...twoHalves(0, 1), labels: new Uint8Array(32).fill(UNLABELLED) };
  await assert.rejects(
    evaluateDataset(brightest, datasetOf([twoHalves(0, 1), unlabelled])),
    /^DataError: halves: half-1: has no labels/,
  );
  const broken: Dataset = {
    ...datasetOf([twoHalves(0, 1), twoHalves(0, 1)]),
    load: async (index) => {
      if (index === 1) throw new DataError('half-1.png: no such file');
      return twoHalves(0, 1);
    },
  };
  await assert.rejects(evaluateDataset(brightest, broken), /half-1\.png/);
});

test("the reference's pixel accuracy truncates logits to integers first", async () => {
  const fractions: Segmenter = {
    classes: 3,
    alignCorners: true,
    logits: () => scope(() => float32(Float32Array.of(0.2, 0.7, 0.1), [1, 1, 1, 3])),
  };
  const sample = { height: 1, width: 1, rgb: new Uint8Array(3), labels: Uint8Array.of(1) };
  const result = await evaluateDataset(fractions, datasetOf([sample]));
  assert.equal(result.pixelAccuracy, 1);
  assert.equal(result.pixelAccuracyReference, 0);
});

test('score report: an absent class is null, the table says so and rounds to five places', () => {
  const metric = new SegmentationMetric(3);
  scope(() => {
    const logits = float32(Float32Array.of(2, 1, 0, 1, 2, 0), [1, 1, 2, 3]);
    metric.add(logits, Uint8Array.of(0, 0));
  });
  const report = scoreReport(metric.scores(), ['a', 'b', 'c']);
  assert.deepEqual(
    report.classes.map(({ iou }) => iou),
    [0.5, 0, null],
  );
  assert.equal(report.miouPresent, 0.25);
  // Two pixels of a; one is predicted as b.
  assert.deepEqual(report.confusion, [
    [1, 1, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  assert.deepEqual(
    report.classes.map(({ labelPixels, predictedPixels }) => [labelPixels, predictedPixels]),
    [
      [2, 1],
      [0, 1],
      [0, 0],
    ],
  );
  assert.deepEqual(scoreTable(report).split('\n').slice(2, 5), [
    'c                                absent',
    'mIoU (all 3 classes)             0.16667',
    'mIoU (2 present classes)         0.25000',
  ]);
});

test('confusion and classes as text and as CSV; names with commas and quotes are quoted', () => {
  const metric = new SegmentationMetric(2);
  scope(() => {
    const logits = float32(Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1), [1, 1, 4, 2]);
    metric.add(logits, Uint8Array.of(0, 0, 1, 1));
    metric.add(logits, Uint8Array.of(0, 0, 0, IGNORE_LABEL));
  });
  const report = scoreReport(metric.scores(), ['road, "wet"', 'car']);
  assert.deepEqual(report.confusion, [
    [3, 2],
    [1, 1],
  ]);
  assert.deepEqual(confusionTable(report).split('\n'), [
    'truth \\ prediction, %      0      1',
    '0 road, "wet"          60.00  40.00',
    '1 car                  50.00  50.00',
  ]);
  assert.equal(
    confusionCsv(report),
    'truth \\ prediction,"road, ""wet""",car\n"road, ""wet""",3,2\ncar,1,1\n',
  );
  assert.deepEqual(classesCsv(report).split('\n').slice(0, 3), [
    'class,iou,intersection_pixels,union_pixels,label_pixels,predicted_pixels',
    '"road, ""wet""",0.5,3,6,5,4',
    'car,0.25,1,4,2,3',
  ]);
});
