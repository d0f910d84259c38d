import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { cityscapes } from '../../src/data/files/cityscapes.js';
import { CITYSCAPES_CLASSES, CITYSCAPES_TABLE } from '../../src/data/files/cityscapesClasses.js';
import { DataError, IGNORE_LABEL, UNLABELLED } from '../../src/data/types.js';
import { paletteOf } from '../../src/evaluate/palette.js';
import { CityscapesFolder } from '../support/datasets/cityscapesFolder.js';
import { drawImage, drawLabels, writeLabelPng } from '../support/datasets/drawnFiles.js';

const folder = mkdtempSync(join(tmpdir(), 'cityscapes-'));
after(() => rmSync(folder, { recursive: true }));

const NAMES = ['ulm_000000_000019', 'aachen_000001_000019', 'aachen_000000_000019'];
const SORTED = [...NAMES].sort();
/** The ids of trainIds 0 to 18, in order, from the table published with the dataset. */
const TRAIN_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33];

let set: CityscapesFolder;
let root: string;

beforeEach(async () => {
  root = mkdtempSync(join(folder, 'set-'));
  set = new CityscapesFolder(root);
  // One pixel per id.
  await set.add('train', NAMES, { height: 2, width: 17, label: (y, x) => 17 * y + x });
});

const refuses = (fn: () => unknown, message: RegExp) =>
  assert.throws(fn, (error) => error instanceof DataError && message.test(error.message));

describe('cityscapes', () => {
  it('finds the images of all cities in path order', () => {
    writeFileSync(set.imageFile('train', NAMES[0]!).replace('leftImg8bit.png', 'other.png'), '');
    const dataset = cityscapes({ root, split: 'train' });
    assert.equal(dataset.name, 'cityscapes/train');
    assert.deepEqual(dataset.samples, SORTED);
  });

  it('turns labelIds into the 19 classes, everything else into ignored', async () => {
    const { labels } = await cityscapes({ root, split: 'train' }).load(0);
    const wanted = Array.from({ length: 34 }, (_, id) => {
      const trainId = TRAIN_IDS.indexOf(id);
      return trainId < 0 ? IGNORE_LABEL : trainId;
    });
    assert.deepEqual([...labels], wanted);
  });

  it('has names and colours of the classes, also used by pictures', () => {
    const { classNames, palette } = cityscapes({ root, split: 'train' });
    assert.equal(classNames.length, 19);
    assert.deepEqual([classNames[0], classNames[13], classNames[18]], ['road', 'car', 'bicycle']);
    assert.deepEqual(palette[13], [0, 0, 142]);
    assert.deepEqual(paletteOf(classNames), palette);
    assert.equal(new Set(CITYSCAPES_CLASSES.map(([, colour]) => colour.join())).size, 19);
    assert.equal(CITYSCAPES_TABLE.classOfColour.get(0x80_40_80), 0);
    assert.equal(CITYSCAPES_TABLE.classOfColour.get(0), IGNORE_LABEL);
  });

  it('reads the pairs of a list, separated by tab or space, in its order', async () => {
    for (const between of ['\t', '   ']) {
      const list = set.list('train.lst', 'train', NAMES, between);
      const dataset = cityscapes({ root, split: 'train', list });
      assert.deepEqual(dataset.samples, NAMES);
      assert.equal((await dataset.load(2)).labels.length, 34);
    }
  });

  it('recognises label files of trainIds by their names and keeps their values', async () => {
    const label = 'gtFine/train/ulm/ulm_gtFine_labelTrainIds.png';
    drawLabels(join(root, label), { height: 2, width: 17, label: (y, x) => (y ? 255 : x) });
    const list = join(root, 'ids.lst');
    writeFileSync(list, `${set.imagePath('train', NAMES[0]!)} ${label}\n`);
    const { labels } = await cityscapes({ root, split: 'train', list }).load(0);
    assert.deepEqual([...labels.subarray(0, 17)], [...Array(17).keys()]);
    assert.ok(
      labels.subarray(17).every((value) => value === IGNORE_LABEL),
      String(labels),
    );
  });

  it('needs no label files if the teacher provides the labels', async () => {
    for (const name of NAMES) unlinkSync(set.labelFile('train', name));
    const dataset = cityscapes({ root, split: 'train', unlabelled: true });
    const { labels, height, width } = await dataset.load(1);
    assert.deepEqual([height, width], [2, 17]);
    assert.ok(
      labels.every((value) => value === UNLABELLED),
      String(labels),
    );
    const list = join(root, 'frames.lst');
    writeFileSync(list, `${set.imagePath('train', NAMES[1]!)}\n`);
    assert.deepEqual(cityscapes({ root, split: 'x', list, unlabelled: true }).samples, [NAMES[1]]);
    refuses(() => cityscapes({ root, split: 'train' }), /labelIds\.png: no such file$/);
  });

  it('follows links, and reports a cycle of them', async () => {
    const elsewhere = join(folder, 'bonn');
    await drawImage(join(elsewhere, 'bonn_000000_000019_leftImg8bit.png'), 3);
    symlinkSync(elsewhere, join(root, 'leftImg8bit/train/bonn'));
    const dataset = () => cityscapes({ root, split: 'train', unlabelled: true });
    assert.equal(dataset().samples.length, 4);
    symlinkSync(elsewhere, join(elsewhere, 'again'));
    refuses(dataset, /more than 16 folders deep/);
  });

  it('has a digest of names and sizes', () => {
    const { digest } = cityscapes({ root, split: 'train' });
    assert.equal(cityscapes({ root, split: 'train' }).digest, digest);
    const list = set.list('train.lst', 'train', NAMES);
    assert.notEqual(cityscapes({ root, split: 'train', list }).digest, digest);
    set.drawLabels('train', NAMES[0]!, { height: 3, width: 17 });
    assert.notEqual(cityscapes({ root, split: 'train' }).digest, digest);
  });
});

describe('cityscapes: errors name the fault', () => {
  it('folders and lists', () => {
    const list = join(root, 'bad.lst');
    const read = () => cityscapes({ root, split: 'train', list });
    refuses(() => cityscapes({ root, split: 'val' }), /leftImg8bit\/val: no such folder$/);
    refuses(read, /bad\.lst: no such file$/);
    writeFileSync(list, '\n \n');
    refuses(read, /bad\.lst: got no line/);
    const good = `${set.imagePath('train', NAMES[0]!)} ${set.labelPath('train', NAMES[0]!)}`;
    for (const line of ['a.png', 'a.png b.png c.png', 'a.png ../b.png']) {
      writeFileSync(list, `${good}\n\n${line}\n`);
      refuses(read, /bad\.lst, line 3: got "[^"]+", wanted an image and its label file/);
    }
    writeFileSync(list, `${good}\nno/such.png ${set.labelPath('train', NAMES[0]!)}\n`);
    refuses(read, /no\/such\.png: no such file$/);
    // A leading slash stands for the dataset's folder, never for that of the machine.
    writeFileSync(list, `${good}\n/etc/passwd /etc/passwd\n`);
    refuses(read, /etc\/passwd: no such file$/);
    writeFileSync(list, `leftImg8bit gtFine\n`);
    refuses(read, /leftImg8bit: not a file|gtFine: not a file/);
  });

  it('labels out of range, of another size, of 16 bits or with colours', async () => {
    const load = () => cityscapes({ root, split: 'train' }).load(0);
    const [name] = SORTED;
    const file = set.labelFile('train', name!);
    const rejects = async (message: RegExp) => {
      await assert.rejects(load, (error) => {
        assert.ok(error instanceof DataError && error.message.startsWith(file), String(error));
        assert.match(error.message, message);
        return true;
      });
    };
    set.drawLabels('train', name!, {
      height: 2,
      width: 17,
      label: (y, x) => (y && x > 3 ? 34 : 7),
    });
    await rejects(/got label 34 at row 1, column 4, wanted 0–33 or 255$/);
    set.drawLabels('train', name!, { height: 2, width: 16 });
    await rejects(/got 2×16 labels \(height×width\), wanted 2×17 as in .*leftImg8bit\.png$/);
    const size = { height: 2, width: 17 };
    writeLabelPng(file, { ...size, channels: 1, depth: 16, data: new Uint16Array(34).fill(300) });
    await rejects(/got label 300 at row 0, column 0, wanted 0–33 or 255$/);
    writeLabelPng(file, { ...size, channels: 3, data: new Uint8Array(3 * 34) });
    await rejects(/got 3 channels of 8 bits, wanted one class number per pixel/);
  });

  it('corrupt files, and one that claims more pixels than memory holds', async () => {
    const load = () => cityscapes({ root, split: 'train' }).load(0);
    for (const file of [set.labelFile('train', SORTED[0]!), set.imageFile('train', SORTED[0]!)]) {
      const whole = readFileSync(file);
      for (const spoilt of [whole.subarray(0, -20), Buffer.alloc(0), Buffer.from('<html>')]) {
        writeFileSync(file, spoilt);
        await assert.rejects(load, (error) => {
          assert.ok(error instanceof DataError, String(error));
          assert.ok(error.message.startsWith(`${file}: not a readable`), error.message);
          return true;
        });
      }
      writeFileSync(file, whole);
    }
    const file = set.labelFile('train', SORTED[0]!);
    const claim = readFileSync(file);
    claim.writeUInt32BE(0x7fff_ffff, 16);
    writeFileSync(file, claim);
    await assert.rejects(load, /got 2×2147483647 pixels, wanted at most \d+ in all/);
  });
});
