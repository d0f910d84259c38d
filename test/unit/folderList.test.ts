import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { camvid } from '../../src/data/files/camvid.js';
import { cityscapes } from '../../src/data/files/cityscapes.js';
import { type FolderOptions, folder } from '../../src/data/files/folder.js';
import { DataError, type Dataset } from '../../src/data/types.js';
import { drawImage, drawLabels } from '../support/datasets/drawnFiles.js';

const SIZE = { height: 2, width: 3 } as const;
let root: string;
let list: string;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'lists-'));
  list = join(root, 'samples.txt');
  writeFileSync(
    join(root, 'classes.yaml'),
    '- {id: 0, name: a}\n- {id: 1, name: b}\n- {id: 2, name: c}\n',
  );
  for (const [i, name] of ['2007_000032', '2007_000039', 'deep/er'].entries()) {
    await drawImage(join(root, `JPEGImages/${name}.jpg`), i, SIZE);
    drawLabels(join(root, `SegmentationClass/${name}.png`), { ...SIZE, label: () => i });
  }
  for (const [i, name] of ['0', '1'].entries()) {
    await drawImage(join(root, `beside/${name}.jpg`), i, SIZE);
    drawLabels(join(root, `beside/${name}_mask.png`), { ...SIZE, label: () => i + 1 });
  }
});
after(() => rmSync(root, { recursive: true }));

function voc(lines: string, more: Partial<FolderOptions> = {}): Dataset {
  writeFileSync(list, lines);
  return folder({
    split: 'train',
    imageFolder: join(root, 'JPEGImages'),
    labelFolder: join(root, 'SegmentationClass'),
    classTable: join(root, 'classes.yaml'),
    labelValues: 'index',
    list,
    ...more,
  });
}

const refuses = (fn: () => unknown, message: RegExp) =>
  assert.throws(fn, (error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, message);
    return true;
  });

const firstLabels = async (dataset: Dataset) => {
  const samples = dataset.samples.map(async (_, i) => (await dataset.load(i)).labels[0]);
  return Promise.all(samples);
};

describe('a list for a folder', () => {
  it('has names, files, or pairs, with slashes, folders, commas or backslashes', async () => {
    for (const lines of [
      '2007_000039\ndeep/er\n',
      '2007_000039.jpg\r\ndeep/er.jpg\r\n',
      '\uFEFF/JPEGImages/2007_000039.jpg /SegmentationClass/2007_000039.png\n/JPEGImages/deep/er.jpg /SegmentationClass/deep/er.png',
      'VOC2012/JPEGImages/2007_000039.jpg,VOC2012/SegmentationClass/2007_000039.png\ndeep/er.jpg,deep/er.png',
      'JPEGImages\\2007_000039.jpg\tSegmentationClass\\2007_000039.png\n.\\deep\\er.jpg\tdeep\\er.png',
    ]) {
      const dataset = voc(lines);
      assert.deepEqual(dataset.samples, ['2007_000039', 'deep/er'], lines);
      assert.deepEqual(await firstLabels(dataset), [1, 2]);
    }
  });

  it('names the line of a missing file, of a doubled sample and of a path upwards', () => {
    refuses(
      () => voc('2007_000032\nnone\n'),
      /samples\.txt, line 2: got "none", wanted an image below .*JPEGImages$/,
    );
    refuses(
      () => voc('2007_000032.jpg no.png'),
      /line 1: got "no\.png", wanted a label file below/,
    );
    refuses(() => voc('2007_000032\n2007_000032.jpg'), /line 2: 2007_000032 is on line 1, too/);
    refuses(() => voc('../JPEGImages/2007_000032.jpg'), /wanted paths without \.\./);
    refuses(
      () => voc('a b c'),
      /line 1: got "a b c", wanted a sample, or an image and its label file/,
    );
    refuses(() => voc(' \n'), /got no line/);
    refuses(() => voc('x', { list: join(root, 'no.txt') }), /no\.txt: no such file$/);
  });
});

describe('labels beside their images', () => {
  const options = () => ({
    list: null,
    imageFolder: join(root, 'beside'),
    labelFolder: join(root, 'beside'),
    labelSuffix: '_mask.png',
  });

  it('are found by their suffix, and are no images', async () => {
    for (const imageSuffix of ['.jpg', '.JPG', null]) {
      const dataset = voc('', { ...options(), imageSuffix });
      assert.deepEqual(dataset.samples, ['0', '1']);
      assert.deepEqual(await firstLabels(dataset), [1, 2]);
    }
    const listed = voc('beside/1.jpg beside/1_mask.png', { ...options(), list });
    assert.deepEqual(await firstLabels(listed), [2]);
    refuses(
      () => voc('', { ...options(), imageSuffix: '_image.png' }),
      /got no image, wanted _image\.png$/,
    );
  });

  it('with reduceZeroLabel 0 is ignored and every number means one less', async () => {
    const dataset = voc('', { ...options(), reduceZeroLabel: true });
    assert.deepEqual(await firstLabels(dataset), [0, 1]);
    drawLabels(join(root, 'zero/z_mask.png'), { ...SIZE, label: (_, x) => [0, 255, 3][x]! });
    await drawImage(join(root, 'zero/z.jpg'), 1, SIZE);
    const folders = { imageFolder: join(root, 'zero'), labelFolder: join(root, 'zero') };
    const zero = voc('', { ...options(), ...folders, reduceZeroLabel: true });
    assert.deepEqual([...(await zero.load(0)).labels], [255, 255, 2, 255, 255, 2]);
    assert.notEqual(zero.digest, voc('', { ...options(), ...folders }).digest);
    refuses(
      () => voc('', { reduceZeroLabel: true, labelValues: 'colour', classTable: 'camvid' }),
      /^reduceZeroLabel: /,
    );
  });
});

describe('lists of the known datasets', () => {
  it('camvid reads the official lists', () => {
    for (const name of ['a', 'b']) {
      for (const sub of ['val', 'valannot']) {
        const file = join(root, `camvid/${sub}/${name}.png`);
        mkdirSync(dirname(file), { recursive: true });
        copyFileSync(join(root, 'SegmentationClass/2007_000032.png'), file);
      }
    }
    const read = (lines: string) => {
      writeFileSync(list, lines);
      return camvid({ root: join(root, 'camvid'), split: 'val', list });
    };
    for (const lines of [
      'b\na\n',
      'b.png\na.png',
      'val/b.png valannot/b.png\nval/a.png valannot/a.png',
      '/SegNet/CamVid/val/b.png /SegNet/CamVid/valannot/b.png\n/SegNet/CamVid/val/a.png /SegNet/CamVid/valannot/a.png',
      'val\\b.png,valannot\\b.png\nval\\a.png,valannot\\a.png',
    ]) {
      assert.deepEqual(read(lines).samples, ['b', 'a'], lines);
    }
    refuses(
      () => read('train/a.png trainannot/a.png'),
      /line 1: got "train\/a\.png trainannot\/a\.png", wanted/,
    );
    refuses(() => read('val/a.png valannot/b.png'), /line 1: got/);
  });

  it('cityscapes takes paths with a leading slash', () => {
    writeFileSync(list, '/JPEGImages/2007_000032.jpg,./SegmentationClass/2007_000032.png\n');
    assert.equal(cityscapes({ root, split: 'train', list }).samples.length, 1);
  });
});
