/** Loads every dataset of files through the loader: threads, cache, crops without labels. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DatasetConfig } from '../../src/data/datasets.js';
import { DecodedCache } from '../../src/data/decodedCache.js';
import { createLoader, type LoaderConfig } from '../../src/data/loader.js';
import { UNLABELLED } from '../../src/data/types.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { CityscapesFolder } from '../support/datasets/cityscapesFolder.js';
import { drawImage, drawLabels } from '../support/datasets/drawnFiles.js';
import { OFFICIAL_SCALES } from '../support/numerics/officialScales.js';

const parent = mkdtempSync(join(tmpdir(), 'file-datasets-'));
after(() => rmSync(parent, { recursive: true }));

/** Bytes of one decoded sample in the test's size. */
const SAMPLE_BYTES = 40 * 56 * 4;
const DATASETS: Record<string, DatasetConfig> = {};

before(async () => {
  const split = 'train';
  const camvid = new CamvidFolder(join(parent, 'camvid'));
  await camvid.add(split, ['a', 'b', 'c']);
  DATASETS['camvid'] = { kind: 'camvid', root: camvid.root, split };
  const cityscapes = new CityscapesFolder(join(parent, 'cityscapes'));
  await cityscapes.add(split, ['ulm_0_1', 'ulm_0_2', 'bonn_0_1']);
  DATASETS['cityscapes'] = { kind: 'cityscapes', root: cityscapes.root, split };
  for (const [seed, name] of ['x', 'y', 'z'].entries()) {
    await drawImage(join(parent, 'images', `${name}.jpg`), seed);
    drawLabels(join(parent, 'labels', `${name}.png`), { label: (y) => y % 12 });
  }
  const folder = { kind: 'folder', split, imageFolder: join(parent, 'images') } as const;
  const labelled = { labelFolder: join(parent, 'labels'), classTable: 'camvid' } as const;
  DATASETS['folder'] = { ...folder, ...labelled, labelValues: 'index' };
  DATASETS['unlabelled folder'] = {
    ...{ ...folder, labelFolder: null, classTable: 'camvid', labelValues: 'index' },
    unlabelled: true,
  };
});

function loaderOf(dataset: DatasetConfig, changes: Partial<LoaderConfig> = {}) {
  return createLoader({
    dataset,
    augmentation: {
      ...{ isRandom: true, fixedCrops: 0, cropHeight: 48, cropWidth: 32, ...OFFICIAL_SCALES },
      ...{ mirror: true, paddingPixel: [1, 2, 3] as const },
    },
    ...{ batchSize: 3, seed: 5, startStep: 0, workers: 0, prefetchBatches: 2, cacheBytes: 0 },
    ...changes,
  });
}

async function digests(dataset: DatasetConfig, changes: Partial<LoaderConfig>): Promise<string> {
  const loader = loaderOf(dataset, changes);
  const hash = createHash('sha256');
  try {
    for (let step = 0; step < 3; step++) {
      for (const { sample, rgb, labels } of (await loader.next()).crops) {
        hash.update(sample).update(rgb).update(labels);
      }
    }
    return hash.digest('hex');
  } finally {
    await loader.close();
  }
}

describe('datasets in files', () => {
  it('give the same crops for any number of threads and any cache', async () => {
    for (const [name, dataset] of Object.entries(DATASETS)) {
      const expected = await digests(dataset, {});
      // Caches for one sample or all, with and without a thread; loader.test.ts tests more threads.
      const threaded = { workers: 1, cacheBytes: SAMPLE_BYTES };
      assert.equal(await digests(dataset, threaded), expected, name);
      assert.equal(await digests(dataset, { cacheBytes: 1e6 }), expected, name);
      assert.equal(await digests(dataset, { cacheBytes: SAMPLE_BYTES }), expected, name);
    }
    assert.equal(Object.keys(DATASETS).length, 4);
  });

  it('are read once if the cache holds them, else every time', async () => {
    const root = join(parent, 'gone');
    const set = new CityscapesFolder(root);
    await set.add('train', ['ulm_0_1', 'ulm_0_2', 'bonn_0_1']);
    const dataset = { kind: 'cityscapes', root, split: 'train' } as const;
    const [cached, uncached] = [loaderOf(dataset, { cacheBytes: 1e6 }), loaderOf(dataset)];
    await Promise.all([cached.next(), uncached.next()]);
    writeFileSync(set.labelFile('train', 'ulm_0_2'), '');
    for (let step = 1; step < 4; step++) assert.equal((await cached.next()).step, step);
    await assert.rejects(uncached.next(), /ulm_0_2_gtFine_labelIds\.png: not a readable/);
  });

  it('without labels: crops are UNLABELLED on the image and ignored in the padding', async () => {
    const loader = loaderOf(DATASETS['unlabelled folder']!);
    const values = new Set<number>();
    for (let step = 0; step < 4; step++) {
      for (const { labels, rgb } of (await loader.next()).crops) {
        labels.forEach((label, i) => {
          values.add(label);
          const isPadding = rgb[3 * i] === 1 && rgb[3 * i + 1] === 2 && rgb[3 * i + 2] === 3;
          if (label === 255 && !isPadding) assert.fail(`ignored at ${i}, which is no padding`);
        });
      }
    }
    assert.deepEqual([...values].sort(), [UNLABELLED, 255]);
  });
});

describe('DecodedCache', () => {
  const sample = (width: number) => ({
    ...{ height: 1, width, rgb: new Uint8Array(3 * width), labels: new Uint8Array(width) },
  });

  it('never exceeds its limit and never evicts', () => {
    const cache = new DecodedCache(100);
    for (const [index, width] of [10, 14, 20, 1, 1].entries()) cache.offer(index, sample(width));
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((index) => cache.get(index)?.width),
      [10, 14, undefined, 1, undefined],
    );
    assert.equal(cache.bytes, 100);
    cache.offer(0, sample(10));
    assert.equal(cache.bytes, 100);
  });
});
