import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataWarnings } from '../../services/student/dataWarnings.js';
import { type Batch, IGNORE_LABEL, UNLABELLED } from '../../src/data/types.js';

function logged() {
  const lines: string[] = [];
  return {
    lines,
    warnings: new DataWarnings({ warn: (line: unknown) => lines.push(String(line)) }),
  };
}

const batch = (label: number, warning?: string): Batch => ({
  ...{ step: 0, height: 2, width: 2, samples: ['a', 'b'] },
  crops: ['a', 'b'].map((sample) => ({
    ...{ sample, augmentationSeed: 0n, rgb: new Uint8Array(12) },
    labels: new Uint8Array(4).fill(label),
    ...(warning === undefined ? {} : { warning }),
  })),
});

test('ten batches without a labelled pixel are one warning, with counts', () => {
  const { lines, warnings } = logged();
  for (let k = 0; k < 9; k++) warnings.batch(batch(IGNORE_LABEL), false);
  assert.deepEqual(lines, []);
  for (let k = 0; k < 5; k++) warnings.batch(batch(IGNORE_LABEL), false);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0]!,
    /^data\.train: the first 10 batches: no pixel .* all 80 in 20 images are/,
  );
});

test('one labelled pixel, or labels from a teacher, and there is no warning', () => {
  for (const label of [0, UNLABELLED]) {
    const { lines, warnings } = logged();
    for (let k = 0; k < 9; k++) warnings.batch(batch(IGNORE_LABEL), false);
    warnings.batch(batch(label), false);
    for (let k = 0; k < 20; k++) warnings.batch(batch(IGNORE_LABEL), k === 19);
    assert.deepEqual(lines, []);
  }
});

test("a decoder's warning is logged once per file, wherever it was read", () => {
  const { lines, warnings } = logged();
  warnings.batch(batch(0, 'a.jpg: odd'), false);
  warnings.sample({ warning: 'a.jpg: odd' });
  warnings.sample({ warning: 'b.jpg: odd' });
  assert.deepEqual(lines, ['a.jpg: odd', 'b.jpg: odd']);
  warnings.evaluated(1, { images: 1, pixels: 4 });
  assert.equal(lines.length, 2);
  warnings.evaluated(0, { images: 1, pixels: 4 });
  warnings.evaluated(0, { images: 1, pixels: 4 });
  assert.equal(lines.length, 3);
});
