/** The options of evaluate and predict, without a process. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../services/cli/command.js';
import { checkPictureNames, PICTURES, picturesFromOption } from '../../services/cli/drawOptions.js';
import { listImages } from '../../services/cli/imageInputs.js';
import { checkNetworkOptions, openNetwork } from '../../services/cli/networkOptions.js';
import { checkOutFolder } from '../../services/cli/outFolder.js';
import { viewsFromOptions } from '../../services/cli/viewOptions.js';
import { DataError } from '../../src/data/types.js';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-options-'));
after(() => rmSync(directory, { recursive: true }));

const PLAIN = { scales: '1', flip: false, batch: '2' };

function usage(run: () => unknown, pattern: RegExp): void {
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof UsageError, error.name);
    assert.match(error.message, pattern);
    return true;
  });
}

test('views: whole images once by default; the default stride is two thirds of the window', () => {
  assert.deepEqual(viewsFromOptions(PLAIN), { scales: [1], flip: false, window: null });
  assert.deepEqual(viewsFromOptions({ ...PLAIN, scales: '0.5, 1.75', flip: true }), {
    ...{ scales: [0.5, 1.75], flip: true, window: null },
  });
  assert.deepEqual(viewsFromOptions({ ...PLAIN, window: '512x1024' }).window, {
    size: { height: 512, width: 1024 },
    stride: { height: 342, width: 683 },
    batch: 2,
  });
});

test('views: errors name invalid options', () => {
  usage(() => viewsFromOptions({ ...PLAIN, scales: '1,0' }), /^--scales: 1,0 given/);
  usage(() => viewsFromOptions({ ...PLAIN, scales: '1,,2' }), /^--scales: /);
  usage(() => viewsFromOptions({ ...PLAIN, scales: 'NaN' }), /^--scales: /);
  usage(() => viewsFromOptions({ ...PLAIN, scales: '1,1' }), /^--scales: 1 given twice/);
  usage(() => viewsFromOptions({ ...PLAIN, window: '512' }), /^--window: 512 given/);
  usage(() => viewsFromOptions({ ...PLAIN, window: '0x8' }), /^--window: 0x8 given/);
  usage(() => viewsFromOptions({ ...PLAIN, stride: '8x8' }), /^--stride: given without --window/);
  const window = '8x8';
  usage(() => viewsFromOptions({ ...PLAIN, window, stride: '9x8' }), /^--stride: 9x8 given/);
  usage(() => viewsFromOptions({ ...PLAIN, window, batch: '0' }), /^--batch: 0 given/);
});

test('a network is a model or a teacher; an address needs a port', async () => {
  const timeout = { 'teacher-timeout': '1' };
  usage(() => checkNetworkOptions(timeout), /none given/);
  usage(() => checkNetworkOptions({ ...timeout, model: 'a', teacher: 'b:1' }), /both given/);
  usage(
    () => checkNetworkOptions({ 'teacher-timeout': '0', teacher: 'b:1' }),
    /^--teacher-timeout: 0 given/,
  );
  for (const teacher of ['dns:///a', 'dns:///a:0', 'dns://resolver/a:1']) {
    await assert.rejects(openNetwork({ ...timeout, teacher }, null), {
      name: 'UsageError',
      message: /^--teacher: .*wanted (dns:\/\/\/host:port|an IP or IP:port|HOST:PORT)/,
    });
  }
  for (const teacher of ['somewhere', 'a:1,b', '']) {
    await assert.rejects(openNetwork({ ...timeout, teacher }, null), /^UsageError: --teacher: "/);
  }
});

test('unknown picture names, and files in place of folders, are refused', () => {
  assert.deepEqual(picturesFromOption('strip, ids', PICTURES), ['strip', 'ids']);
  usage(() => picturesFromOption('stripes', PICTURES), /^--draw: stripes given, wanted some of/);
  usage(() => picturesFromOption('', PICTURES), /^--draw: nothing given/);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  usage(() => checkOutFolder('--out', file), /^--out: .*file is a file/);
  assert.equal(checkOutFolder('--out', join(directory, 'new')), join(directory, 'new'));
});

test('pictures of two samples with the same file name are refused', () => {
  checkPictureNames(['a/b', 'a/c', 'a/b']);
  assert.throws(
    () => checkPictureNames(['a/b-c', 'x', 'a-b/c']),
    new DataError('--pictures: samples a/b-c and a-b/c: both would be a-b-c.png'),
  );
});

test('images: files and folders, in order; clashing names and empty folders are refused', () => {
  const folder = join(directory, 'images');
  mkdirSync(join(folder, 'city'), { recursive: true });
  mkdirSync(join(folder, '.trash'));
  for (const name of ['b.PNG', 'a.jpeg', 'city/a.png', 'city/list.txt', '.b.png', '.trash/c.png']) {
    writeFileSync(join(folder, name), '');
  }
  const names = listImages([join(directory, 'one.v2.png'), folder]).map(({ name }) => name);
  assert.deepEqual(names, ['one.v2', 'a', 'b', join('city', 'a')]);
  usage(() => listImages([]), /no images given/);
  usage(() => listImages([folder, 'elsewhere/a.png']), /two images are called a$/);
  mkdirSync(join(directory, 'empty'));
  assert.throws(() => listImages([join(directory, 'empty')]), DataError);
});
