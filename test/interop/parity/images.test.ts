/** The pixels of image files are those that real OpenCV gives the official loaders, byte for byte. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readRgb } from '../../../src/data/files/imageFiles.js';
import { packagesPeer } from '../../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('imagesPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-images-'));
after(() => rmSync(folder, { recursive: true }));

interface Answer {
  readonly names: readonly string[];
  readonly height: number;
  readonly width: number;
}

test('JPEG with and without subsampled colours, progressive JPEG, PNG: the bytes of cv2.imread', async () => {
  const { names, height, width } = await packagesPeer<Answer>(PEER, folder);
  assert.ok(names.length >= 6, names.join());
  for (const name of names) {
    const image = await readRgb(join(folder, name));
    assert.deepEqual([image.height, image.width], [height, width], name);
    const wanted = readFileSync(join(folder, `${name}.rgb`));
    assert.ok(new Set(wanted).size > 50, `${name}: an image of few values`);
    assert.equal(Buffer.compare(Buffer.from(image.rgb), wanted), 0, name);
  }
});
