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
    ...{ kind: 'camvid', root: 'C', split },
  });
  assert.deepEqual(configOf('--data', 'cityscapes', '--root', 'C', '--split', 'train'), {
    ...{ kind: 'cityscapes', root: 'C', split: 'train', list: null },
  });
  const listed = configOf('--data', 'cityscapes', '--root', 'C', '--list', 'val.lst');
  assert.deepEqual(listed, { kind: 'cityscapes', root: 'C', split, list: 'val.lst' });
  const folder = ['--data', 'folder', '--images', 'i', '--labels', 'l', '--class-table', 't.yaml'];
  const described = { kind: 'folder', split, imageFolder: 'i', labelFolder: 'l' };
  assert.deepEqual(configOf(...folder), {
    ...{ ...described, classTable: 't.yaml', labelValues: 'index' },
  });
  assert.deepEqual(configOf(...folder, '--label-values', 'colour'), {
    ...{ ...described, classTable: 't.yaml', labelValues: 'colour' },
  });
  assert.deepEqual(configOf('--data', 'synthetic', '--samples', '3', '--seed', '4'), {
    ...{ kind: 'synthetic', split, samples: 3, height: 128, width: 256, seed: 4 },
  });
});

test('missing and wrong options are named', () => {
  refuses([], /^--data: nothing given, wanted camvid, cityscapes, folder or synthetic$/);
  refuses(['--data', 'voc'], /^--data: voc given/);
  refuses(['--data', 'cityscapes'], /^--root: wanted for --data cityscapes$/);
  refuses(['--data', 'folder', '--images', 'i'], /^--labels: wanted for --data folder$/);
  const folder = ['--data', 'folder', '--images', 'i', '--labels', 'l', '--class-table', 't'];
  refuses([...folder, '--label-values', 'rgb'], /^--label-values: rgb given, wanted index or colo/);
  refuses(['--data', 'synthetic', '--split', 'test'], /^--split: test given, wanted train or val$/);
  refuses(['--data', 'synthetic', '--samples', '0'], /^--samples: 0 given/);
});
