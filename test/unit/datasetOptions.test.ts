import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { UsageError } from '../../services/cli/command.js';
import { DATASET_OPTIONS, datasetConfig } from '../../services/cli/datasetOptions.js';

const configOf = (...args: string[]) =>
  datasetConfig(parseArgs({ args, options: DATASET_OPTIONS }).values);

const refuses = (args: string[], message: RegExp) =>
  assert.throws(
    () => configOf(...args),
    (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, message);
      return true;
    },
  );

test('each kind of dataset is opened by its options', () => {
  const split = 'val';
  assert.deepEqual(configOf('--data', 'camvid', '--root', 'C'), {
    ...{ kind: 'camvid', root: 'C', split, list: null },
  });
  assert.deepEqual(configOf('--data', 'cityscapes', '--root', 'C', '--split', 'train'), {
    ...{ kind: 'cityscapes', root: 'C', split: 'train', list: null },
  });
  const listed = configOf('--data', 'cityscapes', '--root', 'C', '--list', 'val.lst');
  assert.deepEqual(listed, { kind: 'cityscapes', root: 'C', split, list: 'val.lst' });
  for (const kind of ['voc', 'ade20k'] as const) {
    const wanted = { kind, root: 'V', split, list: 'l.txt' };
    assert.deepEqual(configOf('--data', kind, '--root', 'V', '--list', 'l.txt'), wanted);
  }
  const coco = ['--data', 'cocostuff', '--root', 'S', '--split', 'train'];
  const stuff = { kind: 'cocostuff', root: 'S', split: 'train', list: null };
  assert.deepEqual(configOf(...coco), { ...stuff, classes: 171 });
  assert.deepEqual(configOf(...coco, '--classes', '182'), { ...stuff, classes: 182 });
  refuses([...coco, '--classes', '80'], /^--classes: 80 given, wanted 171 or 182$/);
  const folder = ['--data', 'folder', '--images', 'i', '--labels', 'l', '--class-table', 't.yaml'];
  const described = {
    ...{ kind: 'folder', split, imageFolder: 'i', labelFolder: 'l', list: null },
    ...{ imageSuffix: null, labelSuffix: '.png', reduceZeroLabel: false, whiteValue: null },
  };
  assert.deepEqual(configOf(...folder), {
    ...{ ...described, classTable: 't.yaml', labelValues: 'index' },
  });
  assert.deepEqual(configOf(...folder, '--label-values', 'colour'), {
    ...{ ...described, classTable: 't.yaml', labelValues: 'colour' },
  });
  const beside = ['--image-suffix', '.jpg', '--label-suffix', '_mask.png', '--list', 'val.txt'];
  const read = ['--reduce-zero-label', '--white-value', '4095'];
  assert.deepEqual(configOf(...folder, ...beside, ...read), {
    ...{ ...described, classTable: 't.yaml', labelValues: 'index', list: 'val.txt' },
    ...{ imageSuffix: '.jpg', labelSuffix: '_mask.png', reduceZeroLabel: true, whiteValue: 4095 },
  });
  assert.deepEqual(configOf('--data', 'synthetic', '--samples', '3', '--seed', '4'), {
    ...{ kind: 'synthetic', split, samples: 3, height: 128, width: 256, seed: 4 },
  });
});

test('missing and wrong options are named', () => {
  refuses(
    [],
    /^--data: nothing given, wanted camvid, cityscapes, voc, ade20k, cocostuff, folder or synthetic$/,
  );
  refuses(['--data', 'pascal'], /^--data: pascal given/);
  refuses(['--data', 'cityscapes'], /^--root: wanted for --data cityscapes$/);
  refuses(['--data', 'folder', '--images', 'i'], /^--labels: wanted for --data folder$/);
  const folder = ['--data', 'folder', '--images', 'i', '--labels', 'l', '--class-table', 't'];
  refuses([...folder, '--white-value', '0'], /^--white-value: 0 given, wanted a number above 0$/);
  refuses([...folder, '--label-values', 'rgb'], /^--label-values: rgb given, wanted index or colo/);
  refuses(['--data', 'synthetic', '--split', 'test'], /^--split: test given, wanted train or val$/);
  refuses(['--data', 'synthetic', '--samples', '0'], /^--samples: 0 given/);
});
