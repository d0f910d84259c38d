// @own-process: listens to every thread that the process starts
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { encode } from 'fast-png';
import { openDataset } from '../../src/data/datasets.js';
import { createLoader, type LoaderConfig } from '../../src/data/loader.js';
import { sampleAt, sampleOrder } from '../../src/data/order.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import type { Batch } from '../../src/data/types.js';
import { OFFICIAL_SCALES } from '../support/numerics/officialScales.js';

const CONFIG: LoaderConfig = {
  dataset: { kind: 'synthetic', split: 'train', samples: 7, height: 32, width: 64, seed: 1 },
  augmentation: {
    isRandom: true,
    fixedCrops: 0,
    cropHeight: 24,
    cropWidth: 40,
    ...OFFICIAL_SCALES,
    mirror: true,
    paddingPixel: [1, 2, 3],
  },
  batchSize: 3,
  seed: 11,
  startStep: 0,
  workers: 0,
  prefetchBatches: 2,
  cacheBytes: 1e6,
};

/** The whole content of a batch as one string. */
function digest(batch: Batch): string {
  const hash = createHash('sha256').update(`${batch.step} ${batch.height} ${batch.width}`);
  for (const { sample, augmentationSeed, rgb, labels } of batch.crops) {
    hash.update(`${sample} ${augmentationSeed}`).update(rgb).update(labels);
  }
  return hash.digest('hex');
}

async function digests(changes: Partial<LoaderConfig>, steps: number): Promise<string[]> {
  const loader = createLoader({ ...CONFIG, ...changes });
  try {
    const all: string[] = [];
    for (let i = 0; i < steps; i++) all.push(digest(await loader.next()));
    return all;
  } finally {
    await loader.close();
  }
}

describe('sampleOrder', () => {
  it('contains every sample once per epoch, in a different order each time', () => {
    const at = sampleOrder(3, 50);
    const epochs = [0, 1].map((epoch) =>
      Array.from({ length: 50 }, (_, i) => {
        const { epoch: got, index } = at(epoch * 50 + i);
        assert.equal(got, epoch);
        return index;
      }),
    );
    for (const epoch of epochs) assert.equal(new Set(epoch).size, 50);
    assert.notDeepEqual(epochs[0], epochs[1]);
  });

  it('is a function of the position, in any order of calls', () => {
    const at = sampleOrder(3, 50);
    for (const position of [120, 3, 121, 49, 50, 3]) {
      assert.deepEqual(at(position), sampleAt(3, 50, position));
    }
  });
});

describe('createLoader', () => {
  it('gives the same bytes for any number of threads, prefetch, cache and start', async () => {
    const expected = await digests({}, 8);
    assert.equal(new Set(expected).size, 8);
    assert.deepEqual(await digests({ workers: 1, prefetchBatches: 0 }, 8), expected);
    assert.deepEqual(await digests({ workers: 2, prefetchBatches: 5, cacheBytes: 0 }, 8), expected);
    // A cache for three of the seven samples.
    assert.deepEqual(await digests({ cacheBytes: 3 * 32 * 64 * 4 }, 8), expected);
    assert.deepEqual(await digests({ startStep: 5, workers: 1 }, 3), expected.slice(5));
    assert.notDeepEqual(await digests({ seed: 12 }, 8), expected);
  });

  it('loads a part of each batch, with the names of the whole', async () => {
    const whole = createLoader({ ...CONFIG, batchSize: 4 });
    const parts = [0, 1].map((rank) =>
      createLoader({ ...CONFIG, batchSize: 4, share: { rank, ranks: 2 } }),
    );
    for (let i = 0; i < 3; i++) {
      const wanted = await whole.next();
      const [first, second] = await Promise.all(parts.map((part) => part.next()));
      assert.deepEqual([...first!.crops, ...second!.crops], wanted.crops);
      const names = wanted.crops.map(({ sample }) => sample);
      for (const { samples } of [first!, second!, wanted]) assert.deepEqual(samples, names);
    }
    await Promise.all([whole, ...parts].map((loader) => loader.close()));
  });

  it('spans epochs without dropping a sample', async () => {
    const loader = createLoader(CONFIG);
    const names: string[] = [];
    for (let i = 0; i < 7; i++) names.push(...(await loader.next()).crops.map((c) => c.sample));
    await loader.close();
    for (let epoch = 0; epoch < 3; epoch++) {
      assert.equal(new Set(names.slice(epoch * 7, epoch * 7 + 7)).size, 7);
    }
  });

  it('gives overlapping calls one batch each, in order', async () => {
    const expected = await digests({}, 3);
    const loader = createLoader({ ...CONFIG, workers: 2 });
    const batches = await Promise.all([loader.next(), loader.next(), loader.next()]);
    await loader.close();
    assert.deepEqual(batches.map(digest), expected);
  });

  it('names the invalid option', () => {
    const share = { rank: 1, ranks: 3 };
    assert.throws(() => createLoader({ ...CONFIG, batchSize: 4, share }), /share: 1 of 3 given/);
    assert.throws(() => createLoader({ ...CONFIG, batchSize: 0 }), /batchSize: got 0/);
    assert.throws(() => createLoader({ ...CONFIG, workers: -1 }), /workers: got -1/);
    assert.throws(() => createLoader({ ...CONFIG, prefetchBatches: 0.5 }), /prefetchBatches/);
  });

  it('rejects next() once closed, including pending calls', async () => {
    const loader = createLoader({ ...CONFIG, workers: 1 });
    const waiting = assert.rejects(loader.next(), /the loader is closed/);
    await loader.close();
    await waiting;
    await assert.rejects(loader.next(), /the loader is closed/);
    await loader.close();
  });
});

describe('createLoader on files', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'loader-'));
    await mkdir(join(root, 'train'));
    await mkdir(join(root, 'trainannot'));
    for (const name of ['a', 'b', 'c', 'd']) {
      const data = new Uint8Array(32 * 48 * 3).fill(name.charCodeAt(0));
      const image = encode({ data, width: 48, height: 32, channels: 3 });
      await writeFile(join(root, 'train', `${name}.png`), image);
      const labels = new Uint8Array(32 * 48).fill(4);
      const label = encode({ data: labels, width: 48, height: 32, channels: 1 });
      await writeFile(join(root, 'trainannot', `${name}.png`), label);
    }
  });
  after(() => rm(root, { recursive: true }));

  it('gives the same results in threads as in the calling thread', async () => {
    const dataset = { kind: 'camvid', root, split: 'train' } as const;
    const expected = await digests({ dataset }, 4);
    assert.deepEqual(await digests({ dataset, workers: 1 }, 4), expected);
  });

  it('reports a corrupt file by name, with and without threads, and stays failed', async () => {
    const file = join(root, 'train', 'c.png');
    await truncate(file, 60);
    const dataset = { kind: 'camvid', root, split: 'train' } as const;
    for (const workers of [0, 1]) {
      const loader = createLoader({ ...CONFIG, dataset, workers, batchSize: 4 });
      const expected = (error: Error) =>
        error.name === 'DataError' && error.message.startsWith(`${file}: not a readable image`);
      await assert.rejects(loader.next(), expected);
      await assert.rejects(loader.next(), expected);
      await loader.close();
    }
  });
});

describe('threads', () => {
  /** Runs a module's source in a child process, which has to end by itself. */
  async function runProcess(body: string): Promise<string> {
    const address = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
    const code = `
      const { createLoader } = await import(${address('../../src/data/loader.ts')});
      const { readSequentially } = await import(${address('../../src/data/readSequentially.ts')});
      const config = ${JSON.stringify(CONFIG)};
      ${body}`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', code];
    const cwd = new URL('../..', import.meta.url);
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 120_000 });
    return stdout.trim();
  }

  it('close() during prefetch lets the process end', async () => {
    const out = await runProcess(`
      const loader = createLoader({ ...config, workers: 1, prefetchBatches: 20 });
      const { step } = await loader.next();
      await loader.close();
      console.log('closed after', step);`);
    assert.equal(out, 'closed after 0');
  });

  it('end when the caller leaves readSequentially early', async () => {
    const out = await runProcess(`
      for await (const { sample } of readSequentially(config.dataset, { workers: 1, ahead: 3 })) {
        console.log(sample);
        break;
      }`);
    assert.equal(out, 'train/000000');
  });

  it('that die make next() fail instead of hang', async () => {
    const out = await runProcess(`
      const started = [];
      process.on('worker', (worker) => started.push(worker));
      const loader = createLoader({ ...config, workers: 2, prefetchBatches: 3 });
      await loader.next();
      await Promise.all(started.map((worker) => worker.terminate()));
      try {
        for (;;) await loader.next();
      } catch (error) {
        console.log(error.name, error.message);
      }
      await loader.close();`);
    assert.match(out, /^DataError loader thread [01] ended with code 1$/);
  });
});

describe('readSequentially', () => {
  it('gives whole samples in list order, with threads and without', async () => {
    const dataset = openDataset(CONFIG.dataset);
    for (const workers of [0, 1]) {
      let count = 0;
      for await (const got of readSequentially(CONFIG.dataset, { workers, ahead: 3 })) {
        assert.equal(got.index, count);
        assert.equal(got.sample, dataset.samples[count]);
        const wanted = await dataset.load(count);
        assert.deepEqual(got.rgb, wanted.rgb);
        assert.deepEqual(got.labels, wanted.labels);
        count++;
      }
      assert.equal(count, 7);
    }
  });

  it('gives a share: every third sample, to each rank others, and some ranks fewer', async () => {
    const seen: number[][] = [];
    for (const rank of [0, 1, 2]) {
      const own: number[] = [];
      const options = { workers: 1, ahead: 3, share: { rank, ranks: 3 } };
      for await (const { index } of readSequentially(CONFIG.dataset, options)) own.push(index);
      seen.push(own);
    }
    const none = { workers: 0, ahead: 3, share: { rank: 7, ranks: 8 } };
    for await (const _ of readSequentially(CONFIG.dataset, none)) assert.fail('no sample is left');
    assert.deepEqual(seen, [
      [0, 3, 6],
      [1, 4],
      [2, 5],
    ]);
  });

  it('stops at the limit', async () => {
    const seen: number[] = [];
    const options = { workers: 0, ahead: 0, limit: 2 };
    for await (const { index } of readSequentially(CONFIG.dataset, options)) seen.push(index);
    assert.deepEqual(seen, [0, 1]);
  });
});

it('fixed crops: an epoch has the crops of an earlier one; with 0 it never has', async () => {
  const crops = async (fixedCrops: number) => {
    const augmentation = { ...CONFIG.augmentation, fixedCrops };
    const loader = createLoader({ ...CONFIG, augmentation, batchSize: 7 });
    const epochs: Map<string, string>[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      const batch = await loader.next();
      epochs.push(
        new Map(
          batch.crops.map(({ sample, augmentationSeed, rgb }) => [
            sample,
            `${augmentationSeed} ${Buffer.from(rgb).toString('hex')}`,
          ]),
        ),
      );
    }
    await loader.close();
    const [first, ...later] = epochs as [Map<string, string>, ...Map<string, string>[]];
    return later.map(
      (epoch) => [...epoch].filter(([name, crop]) => first.get(name) === crop).length,
    );
  };
  assert.deepEqual(await crops(0), [0, 0]);
  assert.deepEqual(await crops(1), [7, 7]);
  assert.deepEqual(await crops(2), [0, 7]);
});
