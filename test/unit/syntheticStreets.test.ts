import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { syntheticStreets } from '../../src/data/syntheticStreets.js';
import { DataError, IGNORE_LABEL, type Sample } from '../../src/data/types.js';

const OPTIONS = { split: 'train', samples: 64, height: 64, width: 128, seed: 3 } as const;

function digest(sample: Sample): string {
  return createHash('sha256').update(sample.rgb).update(sample.labels).digest('hex');
}

describe('syntheticStreets', () => {
  it('always draws the same scene for an index', async () => {
    const dataset = syntheticStreets(OPTIONS);
    const first = digest(await dataset.load(5));
    await dataset.load(6);
    assert.equal(digest(await dataset.load(5)), first);
    const larger = syntheticStreets({ ...OPTIONS, samples: 1000 });
    assert.equal(digest(await larger.load(5)), first);
    assert.notEqual(digest(await dataset.load(6)), first);
    const otherSeed = syntheticStreets({ ...OPTIONS, seed: 4 });
    assert.notEqual(digest(await otherSeed.load(5)), first);
  });

  it('has every class, and no other label, in 64 scenes', async () => {
    const dataset = syntheticStreets(OPTIONS);
    const classes = dataset.classNames.length;
    assert.equal(dataset.palette.length, classes);
    const pixels = new Array<number>(256).fill(0);
    for (let i = 0; i < 64; i++) {
      const sample = await dataset.load(i);
      assert.equal(sample.rgb.length, 64 * 128 * 3);
      assert.equal(sample.labels.length, 64 * 128);
      for (const label of sample.labels) pixels[label]! += 1;
    }
    const total = 64 * 64 * 128;
    for (let label = 0; label < 256; label++) {
      const share = pixels[label]! / total;
      if (label < classes) {
        assert.ok(share > 0.001 && share < 0.45, `${dataset.classNames[label]}: ${share}`);
      } else if (label === IGNORE_LABEL) {
        assert.ok(share > 0.005 && share < 0.1, `ignored: ${share}`);
      } else {
        assert.equal(pixels[label], 0, `label ${label}`);
      }
    }
  });

  it('shares no scene between train and val', async () => {
    const train = syntheticStreets(OPTIONS);
    const val = syntheticStreets({ ...OPTIONS, split: 'val' });
    const scenes = new Set<string>();
    for (let i = 0; i < 32; i++) {
      scenes.add(digest(await train.load(i)));
      scenes.add(digest(await val.load(i)));
    }
    assert.equal(scenes.size, 64);
    assert.deepEqual(
      val.samples.filter((name) => train.samples.includes(name)),
      [],
    );
  });

  it('has a digest that depends on every option', () => {
    const changes = [
      {},
      { split: 'val' as const },
      { samples: 65 },
      { height: 65 },
      { width: 129 },
      { seed: 4 },
    ];
    const digests = changes.map((change) => syntheticStreets({ ...OPTIONS, ...change }).digest);
    assert.equal(new Set(digests).size, changes.length);
    assert.equal(syntheticStreets(OPTIONS).digest, digests[0]);
    assert.match(digests[0]!, /^[0-9a-f]{64}$/);
  });

  it('names the invalid option', async () => {
    assert.throws(() => syntheticStreets({ ...OPTIONS, samples: 0 }), {
      name: 'DataError',
      message: 'synthetic samples: got 0, wanted an integer of at least 1',
    });
    assert.throws(() => syntheticStreets({ ...OPTIONS, width: 8 }), /synthetic width: got 8/);
    await assert.rejects(syntheticStreets(OPTIONS).load(64), DataError);
  });
});
