import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { classTable } from '../../src/data/files/classTable.js';
import { readClassTable } from '../../src/data/files/classTableFile.js';
import { type FolderOptions, folder } from '../../src/data/files/folder.js';
import { DataError, IGNORE_LABEL, UNLABELLED } from '../../src/data/types.js';
import { drawImage, drawLabels, writeLabelPng } from '../support/datasets/drawnFiles.js';

const parent = mkdtempSync(join(tmpdir(), 'folder-'));
after(() => rmSync(parent, { recursive: true }));

const SIZE = { height: 2, width: 3 } as const;
const TABLE = `# ids need not be in order
- {id: 9, name: road, colour: [128, 64, 128]}
- {id: 2, name: car, colour: [0, 0, 142]}
- {id: 0, name: void, colour: [0, 0, 0], ignore: true}
`;

let root: string;
let options: FolderOptions;

beforeEach(async () => {
  root = mkdtempSync(join(parent, 'set-'));
  options = {
    split: 'train',
    imageFolder: join(root, 'images'),
    labelFolder: join(root, 'labels'),
    classTable: join(root, 'classes.yaml'),
    labelValues: 'index',
  };
  writeFileSync(options.classTable, TABLE);
  await drawImage(join(root, 'images/b.jpg'), 1, SIZE);
  await drawImage(join(root, 'images/tour/a.PNG'.replace('PNG', 'png')), 2, SIZE);
  drawLabels(join(root, 'labels/b.png'), { ...SIZE, label: () => 9 });
  drawLabels(join(root, 'labels/tour/a.png'), { ...SIZE, label: (_, x) => [9, 2, 0][x]! });
});

const refuses = (fn: () => unknown, message: RegExp) =>
  assert.throws(fn, (error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, message);
    return true;
  });

describe('folder', () => {
  it('pairs images of any depth and kind with label PNGs of the same paths', async () => {
    writeFileSync(join(root, 'images/notes.txt'), 'no image');
    writeFileSync(join(root, 'images/.hidden.png'), 'no image');
    const dataset = folder(options);
    assert.equal(dataset.name, 'folder/train');
    assert.deepEqual(dataset.samples, ['b', 'tour/a']);
    assert.deepEqual(dataset.classNames, ['road', 'car']);
    assert.deepEqual(dataset.palette, [
      [128, 64, 128],
      [0, 0, 142],
    ]);
    assert.deepEqual([...(await dataset.load(1)).labels], [0, 1, 255, 0, 1, 255]);
    assert.equal((await dataset.load(0)).rgb.length, 18);
  });

  it('ignores 255 unless the table has it', async () => {
    const label = join(root, 'labels/b.png');
    drawLabels(label, { ...SIZE, label: (y) => (y ? 255 : 2) });
    assert.deepEqual([...(await folder(options).load(0)).labels], [1, 1, 1, 255, 255, 255]);
    writeFileSync(options.classTable, `${TABLE}- {id: 255, name: sky, colour: [1, 1, 1]}\n`);
    assert.deepEqual([...(await folder(options).load(0)).labels], [1, 1, 1, 2, 2, 2]);
  });

  it('reads colours: RGB, RGB with alpha, and palettes', async () => {
    const labelValues = 'colour';
    const label = join(root, 'labels/b.png');
    const colours = [128, 64, 128, 0, 0, 142, 0, 0, 0];
    const wanted = [0, 1, IGNORE_LABEL, 0, 1, IGNORE_LABEL];
    const load = async () => [...(await folder({ ...options, labelValues }).load(0)).labels];
    const rgb = Uint8Array.from([...colours, ...colours]);
    writeLabelPng(label, { ...SIZE, channels: 3, data: rgb });
    assert.deepEqual(await load(), wanted);
    const rgba = Uint8Array.from({ length: 24 }, (_, i) =>
      i % 4 === 3 ? 7 : rgb[(i >> 2) * 3 + (i % 4)]!,
    );
    writeLabelPng(label, { ...SIZE, channels: 4, data: rgba });
    assert.deepEqual(await load(), wanted);
    const palette: [number, number, number][] = [
      [0, 0, 142],
      [0, 0, 0],
      [128, 64, 128],
    ];
    const indices = Uint8Array.of(2, 0, 1, 2, 0, 1);
    writeLabelPng(label, { ...SIZE, channels: 1, depth: 8, palette, data: indices });
    assert.deepEqual(await load(), wanted);
  });

  it('works without a label folder, or without reading it', async () => {
    for (const changed of [{ labelFolder: null }, { labelFolder: join(root, 'none') }]) {
      const dataset = folder({ ...options, ...changed, unlabelled: true });
      const { labels } = await dataset.load(0);
      assert.ok(
        labels.every((value) => value === UNLABELLED),
        String(labels),
      );
    }
  });

  it('has a digest of names, sizes and the table', async () => {
    const { digest } = folder(options);
    assert.equal(folder(options).digest, digest);
    assert.notEqual(folder({ ...options, labelValues: 'colour' }).digest, digest);
    writeFileSync(options.classTable, TABLE.replace('id: 2', 'id: 3'));
    assert.notEqual(folder(options).digest, digest);
    writeFileSync(options.classTable, TABLE);
    await drawImage(join(root, 'images/c.webp'), 4, SIZE);
    refuses(() => folder(options), /labels\/c\.png: no such file$/);
    drawLabels(join(root, 'labels/c.png'), { ...SIZE, label: () => 9 });
    assert.notEqual(folder(options).digest, digest);
  });
});

describe('folder: 16 bits', () => {
  it('reads ids of 16-bit PNGs, and names one that the table lacks', async () => {
    writeFileSync(
      options.classTable,
      '- {id: 1000, name: road}\n- {id: 7, name: car}\n- {id: 65535, ignore: true}',
    );
    const label = join(root, 'labels/b.png');
    const data = Uint16Array.of(1000, 7, 65535, 1000, 1000, 7);
    writeLabelPng(label, { ...SIZE, channels: 1, depth: 16, data });
    const { labels } = await folder(options).load(0);
    assert.deepEqual([...labels], [0, 1, 255, 0, 0, 1]);
    data[5] = 300;
    writeLabelPng(label, { ...SIZE, channels: 1, depth: 16, data });
    await assert.rejects(
      folder(options).load(0),
      /got label 300 at row 1, column 2, wanted 7 or 255 or 1000 or 65535/,
    );
  });
});

describe('folder: errors name the fault', () => {
  it('no folder, no image, two images for one label', async () => {
    refuses(() => folder({ ...options, imageFolder: join(root, 'no') }), /no: no such folder$/);
    refuses(
      () => folder({ ...options, imageFolder: join(root, 'images/b.jpg') }),
      /images\/b\.jpg: ENOTDIR/,
    );
    writeFileSync(join(root, 'x.txt'), '');
    await drawImage(join(root, 'images/b.png'), 4, SIZE);
    refuses(() => folder(options), /images\/b\.png: called like b\.jpg/);
    const empty = mkdtempSync(join(root, 'empty-'));
    refuses(() => folder({ ...options, imageFolder: empty }), /got no image, wanted \.png, /);
  });

  it('pixels that the table does not know', async () => {
    const label = join(root, 'labels/b.png');
    drawLabels(label, { ...SIZE, label: (y, x) => (y === 1 && x === 2 ? 4 : 9) });
    await assert.rejects(
      folder(options).load(0),
      new DataError(`${label}: got label 4 at row 1, column 2, wanted 0 or 2 or 9 or 255`),
    );
    const inColours = () => folder({ ...options, labelValues: 'colour' }).load(0);
    await assert.rejects(inColours, /got 1 channels of 8 bits, wanted one colour per pixel/);
    const data = new Uint8Array(18);
    data[13] = 1;
    writeLabelPng(label, { ...SIZE, channels: 3, data });
    await assert.rejects(
      inColours,
      new DataError(
        `${label}: got colour [0, 1, 0] at row 1, column 1, wanted one of the class table's`,
      ),
    );
    await assert.rejects(folder(options).load(0), /got 3 channels of 8 bits/);
    const palette: [number, number, number][] = [[0, 0, 0]];
    const indices = new Uint8Array(6).fill(1);
    writeLabelPng(label, { ...SIZE, channels: 1, depth: 8, palette, data: indices });
    await assert.rejects(inColours, /got palette index 1, wanted 0 to 0/);
  });
});

describe('readClassTable', () => {
  const read = (text: string, byColour = false) => {
    writeFileSync(options.classTable, text);
    return readClassTable(options.classTable, byColour);
  };

  it('reads JSON, and knows the built-in tables by name', () => {
    const entries = [
      { id: 1, name: 'a', colour: [1, 2, 3] as const, ignore: false },
      { id: 0, name: 'b', colour: [1, 2, 3] as const, ignore: false },
    ];
    assert.deepEqual(read(JSON.stringify(entries)), classTable(entries));
    assert.equal(readClassTable('cityscapes', true).classNames.length, 19);
    assert.equal(readClassTable('camvid', false).classNames[10], 'bicyclist');
    refuses(() => readClassTable('constructor', false), /^constructor: no such file$/);
  });

  it('names the entry and its field', () => {
    refuses(() => read(''), /not a class table, a list of \{id.*: got null, wanted a list with an/);
    refuses(() => read('classes: []'), /: got \{"classes":\[\]\}, wanted a list with an entry/);
    refuses(
      () => read('- {id: 65536, name: a, colour: [1, 2, 3]}'),
      /: entry 1, id: got 65536, wanted a whole number from 0 to 65535, or a list of them$/,
    );
    refuses(() => read('- {id: [], name: a}'), /: entry 1, id: got \[\], wanted a whole number/);
    refuses(() => read('- {id: [1, x], name: a}'), /: entry 1, id: got \[1,"x"\], wanted a whole/);
    refuses(() => read('- {id: 1}\n- {id: 2, name: b}'), /entry 1, name: got nothing, wanted text/);
    refuses(
      () => read(`${TABLE}- {id: 4, name: x, color: [1, 2, 3]}`),
      /: entry 4: got the unknown field color, wanted id, name, colour, ignore/,
    );
    refuses(
      () => read(`${TABLE}- {id: 4, name: x, colour: [1, 2]}`),
      /: entry 4, colour: got \[1,2\], wanted \[red, green, blue\], each from 0 to 255/,
    );
    refuses(() => read('- {id: 1, name: "a'), /not YAML: /);
    refuses(() => read('- {id: 1, name: a, colour: [1, 2, 3]}'), /got 1 classes, wanted 2 to 254/);
    refuses(() => read(`${TABLE}- {id: 9, name: x, colour: [1, 2, 3]}`), /id 9 of x: another/);
    refuses(() => read(`${TABLE}- {id: 4, name: car, colour: [1, 2, 3]}`), /name car of car/);
    refuses(
      () => read('- 1\n'.repeat(2000)),
      /entry 5: got 1, wanted \{id, name, …\}; and 1995 more$/,
    );
    refuses(
      () => read('- {id: 1, name: "\\e[2J", colour: [1, 2, 3]}'),
      /entry 1, name: got .*, wanted text without control/,
    );
    refuses(() => read(`#${'x'.repeat(1_048_576)}`), /wanted at most 1048576/);
  });

  it('takes several ids for one class, ids that are dropped, and no colours', () => {
    const table = read(
      '- {id: [7, 300], name: road}\n- {id: 2, name: 4}\n- {id: [0, 9], ignore: true}',
    );
    assert.deepEqual(table.classNames, ['road', '4']);
    const classOf = (id: number) => table.classOfId[id];
    assert.deepEqual([7, 300, 2, 0, 9, 1, 255].map(classOf), [0, 0, 1, 255, 255, -1, 255]);
    const [road, other] = table.palette;
    assert.notDeepEqual(road, other);
    const given = read('- {id: 1, name: a}\n- {id: 2, name: b, colour: [128, 0, 0]}');
    assert.notDeepEqual(given.palette[0], given.palette[1]);
    refuses(
      () => read('- {id: 1, name: a}\n- {id: 2, name: b}', true),
      /entry 1, colour: got nothing/,
    );
    refuses(() => read('- {id: [1, 2], name: a}\n- {id: 2, name: b}'), /id 2 of b: another/);
  });

  it('requires distinct colours only if labels are colours', () => {
    const twice = `${TABLE}- {id: 4, name: x, colour: [0, 0, 142]}`;
    assert.equal(read(twice).classNames.length, 3);
    refuses(() => read(twice, true), /colour 0,0,142 of x: another entry has it, too/);
    const ignored = `${TABLE}- {id: 5, name: bonnet, colour: [0, 0, 0], ignore: true}`;
    assert.equal(read(ignored, true).classNames.length, 2);
    const hidden = `${TABLE}- {id: 5, name: bonnet, colour: [0, 0, 142], ignore: true}`;
    refuses(() => read(hidden, true), /colour 0,0,142 of bonnet/);
  });
});
