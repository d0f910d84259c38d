/** `cirkd check-data` on folders with every kind of fault at once. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CliSession } from '../support/commands/cliSession.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { drawImage, drawLabels } from '../support/datasets/drawnFiles.js';
import { withExtraneousBytes } from '../support/datasets/oddJpeg.js';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-check-'));
const session = new CliSession();
after(() => {
  session.close();
  rmSync(directory, { recursive: true });
});

const checkData = (...argv: string[]) => session.run('check-data', ...argv);
const newFolder = () => mkdtempSync(join(directory, 'set-'));
const SIZE = { height: 20, width: 30 };

const TABLE = join(directory, 'classes.yaml');
writeFileSync(TABLE, '[{id: 0, name: a}, {id: 1, name: b}, {id: 2, name: c}]');

/** JPEGs whose labels have 100 pixels of class a, 400 of b, and 100 without a class. */
async function folderOf(names: readonly string[]) {
  const root = newFolder();
  const imageFile = (name: string) => join(root, 'images', `${name}.jpg`);
  const labelFile = (name: string) => join(root, 'labels', `${name}.png`);
  for (const [seed, name] of names.entries()) {
    await drawImage(imageFile(name), seed, SIZE);
    drawLabels(labelFile(name), {
      ...SIZE,
      label: (_y, x) => (x < 5 ? 0 : x < 25 ? 1 : 255),
    });
  }
  const options = [
    ...['--data', 'folder', '--images', join(root, 'images'), '--labels', join(root, 'labels')],
    ...['--class-table', TABLE],
  ];
  return { root, imageFile, labelFile, options };
}

test('a whole dataset: pixels and images per class, sizes, void; exit 0, as a process of its own', async () => {
  const { root, options, imageFile, labelFile } = await folderOf(['1', '2', '3']);
  await drawImage(imageFile('3'), 3, { height: 10, width: 30 });
  drawLabels(labelFile('3'), { height: 10, width: 30, label: () => 2 });
  const svg = join(root, 'shares.svg');
  const one = new CirkdProcess(
    ...['check-data', ...options, '--json', '--threads', '2', '--picture', svg],
  );
  assert.equal(await one.exit(), 0, one.stderr);
  const report = JSON.parse(one.stdout);
  assert.deepEqual(report.datasets.length, 1);
  const [{ classes, sizes, ...set }] = report.datasets;
  assert.deepEqual(
    classes.map(({ name, pixels, images }: Record<string, unknown>) => [name, pixels, images]),
    [
      ['a', 200, 2],
      ['b', 800, 2],
      ['c', 300, 1],
    ],
  );
  assert.equal(classes[1].share, 800 / 1300);
  assert.deepEqual(sizes, [
    { height: 20, width: 30, images: 2 },
    { height: 10, width: 30, images: 1 },
  ]);
  assert.deepEqual(set, {
    ...{ name: 'folder/val', dataset: 'folder/val', samples: 3, read: 3 },
    ...{ pixels: 1500, labelledPixels: 1300, ignoredPixels: 200, unlabelledPixels: 0 },
    ...{ orientations: {}, warnings: [], faults: [] },
  });
  const picture = readFileSync(svg, 'utf8');
  for (const text of ['61.54 %', '>b<', 'Faults: 0.']) assert.ok(picture.includes(text), text);
  // The table has the same figures, with any number of threads.
  const png = join(root, 'shares.png');
  const table = await checkData(...options, '--threads', '3', '--picture', png);
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /^folder\/val: 3 samples, 3 read$/m);
  assert.match(table.stdout, /^1500 pixels, 13\.33 % without a class$/m);
  assert.match(table.stdout, /^b +800 +61\.538 +2$/m);
  assert.ok((await sharp(png).metadata()).width > 400);
});

test('every fault is listed, not only the first; the rest is counted; exit 7', async () => {
  const names = ['cut', 'gone', 'label', 'odd', 'plain', 'size', 'turned'];
  const { imageFile, labelFile, options } = await folderOf(names);
  const whole = readFileSync(imageFile('cut'));
  writeFileSync(imageFile('cut'), whole.subarray(0, whole.length >> 1));
  unlinkSync(labelFile('gone'));
  drawLabels(labelFile('label'), { ...SIZE, label: () => 9 });
  writeFileSync(imageFile('odd'), withExtraneousBytes(readFileSync(imageFile('odd'))));
  drawLabels(labelFile('size'), { height: 20, width: 31, label: () => 0 });
  const turned = await sharp(imageFile('turned')).withMetadata({ orientation: 3 }).toBuffer();
  writeFileSync(imageFile('turned'), turned);
  await copyFile(imageFile('plain'), join(imageFile('plain'), '../plain.jpeg'));
  const { code, stdout, stderr } = await checkData(...options, '--json');
  assert.equal(code, 7, stderr);
  assert.match(stderr, /^cirkd: 5 faults, listed above$/m);
  const { datasets, faults } = JSON.parse(stdout);
  assert.equal(faults, 5);
  const [set] = datasets;
  const found = set.faults.map(({ message }: { message: string }) => message).join('\n');
  for (const wanted of [
    /cut\.jpg: not a readable image: /,
    /gone\.png: no such file/,
    /label\.png: got label 9 at row 0, column 0, wanted 0–2 or 255/,
    /plain\.jpg: called like plain\.jpeg: one label for two/,
    /size\.png: got 20×31 labels \(height×width\), wanted 20×30/,
  ]) {
    assert.match(found, wanted);
  }
  assert.equal(set.read, 3);
  assert.deepEqual(set.orientations, { 3: 1 });
  assert.equal(set.warnings.length, 1);
  assert.match(set.warnings[0].message, /odd\.jpg: .*extraneous bytes/);
  assert.equal(set.classes[1].pixels, 3 * 400);
  const text = await checkData(...options);
  assert.equal(text.code, 7);
  assert.match(text.stdout, /^faults: 5$/m);
  for (const line of found.split('\n')) assert.ok(text.stdout.includes(line), line);
});

test('lines of a list that are wrong are faults of their samples', async () => {
  const { root, options } = await folderOf(['1', '2']);
  const list = join(root, 'list.txt');
  writeFileSync(list, '1\n9\n1\n2 a b\n2\n');
  const { code, stdout } = await checkData(...options, '--list', list, '--json');
  assert.equal(code, 7);
  const [set] = JSON.parse(stdout).datasets;
  assert.equal(set.read, 2);
  const lines = set.faults.map(
    ({ message }: { message: string }) => /line (\d)/.exec(message)?.[1],
  );
  assert.deepEqual(lines, ['2', '3', '4']);
});

test('--config checks data.train and data.val, their classes, and images that are in both', async () => {
  const camvid = new CamvidFolder(newFolder());
  await camvid.add('train', ['a', 'b']);
  await camvid.add('val', ['c']);
  await copyFile(camvid.imageFile('train', 'b'), camvid.imageFile('val', 'c'));
  unlinkSync(camvid.labelFile('train', 'a'));
  const config = join(directory, 'student.yaml');
  writeFileSync(
    config,
    `data:\n  train: {kind: camvid, root: ${camvid.root}}\n  val: {kind: camvid, root: ${camvid.root}}\ntrain: {steps: 1}\n`,
  );
  const { code, stdout, stderr } = await checkData('--config', config, '--json');
  assert.equal(code, 7, stderr);
  const { datasets, duplicates, faults } = JSON.parse(stdout);
  assert.deepEqual(
    datasets.map(({ name, read }: Record<string, unknown>) => [name, read]),
    [
      ['data.train', 1],
      ['data.val', 1],
    ],
  );
  assert.deepEqual(duplicates, [
    [
      { name: 'data.train', sample: 'b' },
      { name: 'data.val', sample: 'c' },
    ],
  ]);
  assert.equal(faults, 1);
  const text = await checkData('--config', config);
  assert.match(text.stdout, /^the same image: 1\n {2}data\.train b = data\.val c$/m);
  const others = `data.val={kind: folder, imageFolder: ${camvid.root}/val, labelFolder: ${camvid.root}/valannot, classTable: ${TABLE}}`;
  const other = await checkData('--config', config, '--set', others);
  assert.match(other.stdout, /data\.val: folder\/val: 3 classes, wanted 11 as in data\.train/);
});

test('a dataset that is not there is a fault; wrong options are usage errors', async () => {
  const none = join(directory, 'none');
  const missing = await checkData('--data', 'camvid', '--root', none);
  assert.equal(missing.code, 7);
  assert.match(missing.stdout, /no such folder/);
  const { options } = await folderOf(['1']);
  const picture = join(directory, 'x.gif');
  for (const argv of [
    [],
    ['--config', none, '--data', 'camvid'],
    ['--config', none],
    [...options, '--picture', picture],
    [...options, '--threads', '0'],
    [...options, '--set', 'seed=1'],
  ]) {
    assert.equal((await checkData(...argv)).code, 2, argv.join(' '));
  }
  assert.ok(!existsSync(picture));
});

test('labels that are all void are reported with their counts', async () => {
  const { options, labelFile } = await folderOf(['1']);
  drawLabels(labelFile('1'), { ...SIZE, label: () => 255 });
  const { code, stderr, stdout } = await checkData(...options);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /^warning: folder\/val: no pixel has a class, all 600 in 1 images are ignored/,
  );
  assert.match(stdout, /^3 classes without a pixel: a, b, c$/m);
});
