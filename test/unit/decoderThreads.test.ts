/** What a decoder says of a file while other threads decode. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { inspectDataset } from '../../src/data/check/inspectDataset.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { withExtraneousBytes } from '../support/datasets/oddJpeg.js';

const IMAGES = 90;
const THREADS = 3;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-decoders-'));
after(() => rmSync(folder, { recursive: true }));

// libvips keeps the messages of all threads in one buffer, which each decoding empties.
test('each odd file has the decoder’s words with it, whatever other threads decode', async () => {
  const set = new CamvidFolder(folder);
  const names = Array.from({ length: IMAGES }, (_, i) => `odd-${String(i).padStart(2, '0')}`);
  await set.add('val', names);
  for (const name of names) {
    const file = set.imageFile('val', name);
    const jpeg = await sharp(readFileSync(file)).jpeg().toBuffer();
    writeFileSync(file, withExtraneousBytes(jpeg));
  }
  const dataset = { kind: 'camvid', root: folder, split: 'val' } as const;
  let read = 0;
  for await (const { sample, warning } of readSequentially(dataset, {
    ...{ workers: THREADS, ahead: 4 * THREADS },
  })) {
    assert.match(warning ?? '', /odd-\d\d\.png: .*18 extraneous bytes before marker/, sample);
    read++;
  }
  assert.equal(read, IMAGES);
});

test('each cut file is refused in the decoder’s words, whatever other threads decode', async () => {
  const root = join(folder, 'cut');
  const set = new CamvidFolder(root);
  const names = Array.from({ length: IMAGES }, (_, i) => `cut-${String(i).padStart(2, '0')}`);
  await set.add('val', names);
  for (const name of names) {
    const file = set.imageFile('val', name);
    const jpeg = await sharp(readFileSync(file)).jpeg().toBuffer();
    writeFileSync(file, jpeg.subarray(0, jpeg.length >> 1));
  }
  const counts = await inspectDataset({ kind: 'camvid', root, split: 'val' }, { threads: THREADS });
  const { faults } = counts.report();
  assert.equal(faults.length, IMAGES);
  for (const { message } of faults) {
    assert.match(message, /cut-\d\d\.png: not a readable image: .*(premature end|truncated)/i);
  }
});
