/** VOC 2012 with SBD, ADE20K and COCO-Stuff 164k in the layouts of their archives. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { openDataset } from '../../src/data/datasets.js';
import { ade20k } from '../../src/data/files/ade20k.js';
import { readClassTable } from '../../src/data/files/classTableFile.js';
import { cocoStuff } from '../../src/data/files/cocoStuff.js';
import { voc } from '../../src/data/files/voc.js';
import { DataError, IGNORE_LABEL, UNLABELLED } from '../../src/data/types.js';
import { paletteOf } from '../../src/evaluate/palette.js';
import { addAde20k, addCocoStuff, addVoc, writeList } from '../support/datasets/archiveFolders.js';

const folder = mkdtempSync(join(tmpdir(), 'archives-'));
after(() => rmSync(folder, { recursive: true }));

/** Numbers of label maps that no image has (COCO's 12, 26, 29, 30, 45, 66, 68, 69, 71, 83 and 91, less 1). */
const UNUSED = [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90];

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(folder, 'set-'));
});

const refuses = (fn: () => unknown, message: RegExp) =>
  assert.throws(fn, (error) => error instanceof DataError && message.test(error.message));

/** The fault of a file is named, whether it is found at the start or when the sample is loaded. */
async function rejects(load: () => Promise<unknown>, file: string, message: RegExp): Promise<void> {
  await assert.rejects(load, (error) => {
    assert.ok(error instanceof DataError && error.message.startsWith(`${file}: `), String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe('voc', () => {
  const LISTS = 'ImageSets/Segmentation';

  beforeEach(async () => {
    await addVoc(root, '2007_000032', 'SegmentationClassAug', () => 3);
    await addVoc(root, '2008_000008', 'SegmentationClassAug', (_y, x) => (x < 21 ? x : 255));
    await addVoc(root, '2007_000033', 'SegmentationClass', (_y, x) => (x < 21 ? x : 255));
    await addVoc(root, '2007_000032', 'SegmentationClass', () => 15);
    writeList(root, `${LISTS}/train.txt`, ['2007_000032']);
    writeList(root, `${LISTS}/train_aug.txt`, ['2008_000008', '2007_000032']);
    writeList(root, `${LISTS}/val.txt`, ['2007_000033']);
  });

  it('trains on the list and labels with SBD, and is judged by its own', async () => {
    const train = voc({ root, split: 'train' });
    assert.equal(train.name, 'voc/train_aug');
    assert.deepEqual(train.samples, ['2008_000008', '2007_000032']);
    assert.equal((await train.load(1)).labels[0], 3);
    const val = voc({ root, split: 'val' });
    assert.deepEqual([val.name, ...val.samples], ['voc/val', '2007_000033']);
    const { labels } = await val.load(0);
    assert.deepEqual([...labels.subarray(0, 21)], [...Array(21).keys()]);
    assert.ok(labels.subarray(21, 64).every((label) => label === IGNORE_LABEL));
  });

  it("is VOC's own training set without SegmentationClassAug", async () => {
    rmSync(join(root, 'SegmentationClassAug'), { recursive: true });
    const train = voc({ root, split: 'train' });
    assert.deepEqual([train.name, ...train.samples], ['voc/train', '2007_000032']);
    assert.equal((await train.load(0)).labels[0], 15);
  });

  it('reads the official lists: names, and pairs with a slash in front', async () => {
    const names = writeList(root, 'names.txt', ['2007_000032']);
    assert.deepEqual(voc({ root, split: 'train', list: names }).samples, ['2007_000032']);
    for (const [labels, wanted] of [
      ['SegmentationClass', 15],
      ['SegmentationClassAug', 3],
    ] as const) {
      const pair = `/JPEGImages/2007_000032.jpg /${labels}/2007_000032.png`;
      const list = writeList(root, 'pairs.txt', [pair]);
      const dataset = voc({ root, split: 'train', list });
      assert.equal((await dataset.load(0)).labels[0], wanted, labels);
    }
  });

  it("has VOC's classes and colours, also by the name of its table", () => {
    const { classNames, palette } = voc({ root, split: 'val' });
    assert.equal(classNames.length, 21);
    assert.deepEqual(
      [classNames[0], classNames[15], classNames[20]],
      [...['background', 'person', 'tvmonitor']],
    );
    assert.deepEqual(
      [palette[0], palette[1], palette[15]],
      [
        ...[
          [0, 0, 0],
          [128, 0, 0],
          [192, 128, 128],
        ],
      ],
    );
    assert.deepEqual(paletteOf(classNames), palette);
    assert.deepEqual(readClassTable('voc', true).classNames, classNames);
  });

  it('names lists and files that are missing or wrong', async () => {
    refuses(
      () => voc({ root, split: 'test' }),
      /ImageSets\/Segmentation\/test\.txt: no such file$/,
    );
    const list = writeList(root, 'bad.txt', ['2007_000032', '2009_000001']);
    refuses(() => voc({ root, split: 'val', list }), /bad\.txt, line 2: got "2009_000001", wanted/);
    writeList(root, 'bad.txt', ['2008_000008']);
    const label = join(root, 'SegmentationClass/2008_000008.png');
    refuses(
      () => voc({ root, split: 'val', list }),
      /SegmentationClass\/2008_000008\.png: no such/,
    );
    await addVoc(root, '2008_000008', 'SegmentationClass', (y, x) => (y === 1 && x === 2 ? 21 : 0));
    const load = async () => voc({ root, split: 'val', list }).load(0);
    await rejects(load, label, /got label 21 at row 1, column 2, wanted 0–20 or 255$/);
    const image = join(root, 'JPEGImages/2008_000008.jpg');
    writeFileSync(image, readFileSync(image).subarray(0, -60));
    await rejects(load, image, /not a readable image: /);
  });
});

describe('ade20k', () => {
  beforeEach(async () => {
    await addAde20k(root, 'training', 'ADE_train_00000001', (y, x) => Math.min(64 * y + x, 150));
    await addAde20k(root, 'validation', 'ADE_val_00000001', () => 150);
  });

  it('has 150 classes, numbered from 1 in the files, where 0 is ignored', async () => {
    const train = ade20k({ root, split: 'train' });
    assert.deepEqual([train.name, ...train.samples], ['ade20k/train', 'ADE_train_00000001']);
    const { labels } = await train.load(0);
    assert.equal(labels[0], IGNORE_LABEL);
    assert.deepEqual([...labels.subarray(1, 151)], [...Array(150).keys()]);
    const val = ade20k({ root, split: 'val' });
    assert.equal((await val.load(0)).labels[7], 149);
    assert.equal(new Set(val.classNames).size, 150);
    assert.deepEqual(
      [val.classNames[0], val.classNames[7], val.classNames[149]],
      [...['wall', 'bed', 'flag']],
    );
    assert.deepEqual(val.palette[0], [120, 120, 120]);
    assert.deepEqual(paletteOf(val.classNames), val.palette);
    assert.equal(ade20k({ root, split: 'training' }).samples.length, 1);
  });

  it('names what is missing or wrong', async () => {
    const label = join(root, 'annotations/validation/ADE_val_00000001.png');
    await addAde20k(root, 'validation', 'ADE_val_00000001', () => 151);
    const load = async () => ade20k({ root, split: 'val' }).load(0);
    await rejects(load, label, /got label 151 at row 0, column 0, wanted 0–150 or 255$/);
    unlinkSync(label);
    await rejects(load, label, /no such file$/);
    const unlabelled = ade20k({ root, split: 'val', unlabelled: true });
    assert.equal((await unlabelled.load(0)).labels[0], UNLABELLED);
    refuses(() => ade20k({ root, split: 'test' }), /images\/test: no such folder$/);
    // Two of its classes have one colour.
    refuses(() => readClassTable('ade20k', true), /ade20k, of whose classes some share a colour/);
  });
});

describe('cocostuff', () => {
  const used = Array.from({ length: 182 }, (_, id) => id).filter((id) => !UNUSED.includes(id));

  it('maps the 182 numbers of label maps to the 171 classes that have pixels', async () => {
    await addCocoStuff(root, 'train2017', '000000000009', (y, x) => used[64 * y + x] ?? 255);
    const train = cocoStuff({ root, split: 'train' });
    assert.deepEqual([train.name, ...train.samples], ['cocostuff/train', '000000000009']);
    const { labels } = await train.load(0);
    assert.deepEqual([...labels.subarray(0, 171)], [...Array(171).keys()]);
    assert.equal(labels[171], IGNORE_LABEL);
    // The label maps' numbers of some classes, from the list published with the dataset.
    for (const [number, name] of [
      [0, 'person'],
      [12, 'stop sign'],
      [89, 'toothbrush'],
      [91, 'banner'],
      [181, 'wood'],
    ] as const) {
      assert.equal(train.classNames[used.indexOf(number)], name);
    }
    assert.equal(new Set(train.classNames).size, 171);
    assert.deepEqual(paletteOf(train.classNames), train.palette);
  });

  it("keeps the numbers as 182 classes, as the official code's teachers have them", async () => {
    await addCocoStuff(root, 'val2017', '1', (y, x) => Math.min(64 * y + x, 181));
    const val = openDataset({ kind: 'cocostuff', root, split: 'val', classes: 182 });
    assert.deepEqual([...(await val.load(0)).labels.subarray(0, 182)], [...Array(182).keys()]);
    assert.deepEqual([val.classNames[11], val.classNames[181]], ['street sign', 'wood']);
    assert.equal(new Set(val.classNames).size, 182);
    assert.deepEqual(readClassTable('cocostuff-182', false).classNames, val.classNames);
    assert.notEqual(val.digest, cocoStuff({ root, split: 'val' }).digest);
  });

  it('reads _labelTrainIds.png where there are no label maps', async () => {
    const label = (y: number, x: number) => Math.min(64 * y + x, 170);
    await addCocoStuff(root, 'train2017', '1', label, '_labelTrainIds.png');
    const { labels } = await cocoStuff({ root, split: 'train' }).load(0);
    assert.deepEqual([...labels.subarray(0, 171)], [...Array(171).keys()]);
    refuses(
      () => cocoStuff({ root, split: 'train', classes: 182 }),
      /1_labelTrainIds\.png: got numbers of 171 classes, wanted label maps/,
    );
  });

  it('takes the official lists, and names what is missing or wrong', async () => {
    for (const name of ['1', '2']) await addCocoStuff(root, 'val2017', name, () => 11);
    const list = writeList(root, 'val.txt', ['2', 'images/val2017/1.jpg']);
    const val = () => cocoStuff({ root, split: 'val', list });
    assert.deepEqual(val().samples, ['2', '1']);
    const file = join(root, 'annotations/val2017/2.png');
    await rejects(
      () => val().load(0),
      file,
      /got label 11 at row 0, column 0, wanted 0–10 or 12–24/,
    );
    unlinkSync(file);
    refuses(val, /annotations\/val2017\/2\.png: no such file$/);
    writeList(root, 'val.txt', ['3']);
    refuses(val, /val\.txt, line 1: got "3", wanted an image below .*images\/val2017$/);
  });
});
