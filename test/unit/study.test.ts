/** The study: what its variants switch off, how its tables are counted, how images are halved. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { halfImage, halfLabels } from '../../bench/study/halfSize.js';
import type { StudyRun } from '../../bench/study/studyRun.js';
import { studyTable, timeTable } from '../../bench/study/table.js';
import { chooseVariants, VARIANTS } from '../../bench/study/variants.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';

const CONFIGS = ['examples/study/student.yaml', 'recipes/camvid-cpu.yaml'];
const ADDED_BY = ['logits-kd', 'minibatch-pixel', 'memory-pixel', 'cirkd'];
const RELATIONAL = ['logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

const run = (variant: string, seed: number, miou: number, total = 100): StudyRun => ({
  seed,
  variant,
  miou,
  pixelAccuracy: 2 * miou,
  steps: 50,
  seconds: { total, data: total / 100, teacher: total / 4, compute: (74 * total) / 100 },
});

for (const file of CONFIGS) {
  test(`${file}: each variant of the ablation adds one term at the paper's weight`, () => {
    const text = readFileSync(file, 'utf8');
    const weights = (name: string) =>
      loadConfig(studentSchema, { text, fileName: file, overrides: VARIANTS[name]!.settings }).loss
        .weights;
    const paper = { logits_kd: 1, minibatch_pixel: 1, memory_pixel: 0.1, memory_region: 0.1 };
    for (const [added, name] of ADDED_BY.entries()) {
      for (const [place, term] of RELATIONAL.entries()) {
        assert.equal(weights(name)[term], place <= added ? paper[term] : 0, `${name}: ${term}`);
      }
    }
  });
}

test('variants come in the order of the list, and a wrong name is an error', () => {
  assert.deepEqual(
    chooseVariants('cirkd,labels').map(({ name, isTaught }) => [name, isTaught]),
    [
      ['cirkd', true],
      ['labels', false],
    ],
  );
  assert.throws(() => chooseVariants('labels,toString'), /got "toString", wanted some of labels, /);
});

test('differences are paired seed by seed, to the first variant and to the row above', () => {
  const runs = [
    run('a', 1, 0.3),
    run('a', 0, 0.2),
    run('b', 0, 0.22),
    run('b', 1, 0.32),
    run('c', 1, 0.35),
  ];
  const rows = studyTable(runs).split('\n').slice(2);
  assert.deepEqual(rows, [
    // sd of 20 and 30: 10 / sqrt(2)
    '| a | 20.00 | 30.00 | 25.00 ± 7.07 |  |  | 50.00 ± 14.14 |',
    '| b | 22.00 | 32.00 | 27.00 ± 7.07 | +2.00 ± 0.00 | +2.00 ± 0.00 | 54.00 ± 14.14 |',
    '| c |  | 35.00 | 35.00 | +5.00 | +3.00 | 70.00 |',
  ]);
});

test('the time table has the mean of the runs and shares of all their steps', () => {
  const rows = timeTable([run('a', 0, 0.2, 100), run('a', 1, 0.2, 50)])
    .split('\n')
    .slice(2);
  assert.deepEqual(rows, ['| a | 75 | 1500 | 1.00 | 25.00 |']);
});

test('halving: the mean of four pixels, the label of the upper left one, no odd row or column', () => {
  const pixel = (value: number) => [value, value + 1, 0];
  const rgb = new Uint8Array([10, 20, 90, 30, 42, 90, 90, 90, 90].flatMap(pixel));
  const image = halfImage({ height: 3, width: 3, rgb });
  // (10 + 20 + 30 + 42) / 4 is 25.5
  assert.deepEqual(image, { height: 1, width: 1, rgb: new Uint8Array([26, 27, 0]) });
  const values = new Uint8Array([1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9, 5, 5, 5, 5]);
  const labels = halfLabels({ height: 4, width: 4, values });
  assert.deepEqual(labels, { height: 2, width: 2, values: new Uint8Array([1, 3, 6, 8]) });
});
