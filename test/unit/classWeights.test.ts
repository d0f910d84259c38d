import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { withClassWeights } from '../../services/student/classWeights.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';

const folder = mkdtempSync(join(tmpdir(), 'class-weights-'));
after(() => rmSync(folder, { recursive: true }));

const DATA = { classNames: ['a', 'b', 'c'] };

function config(loss: object) {
  const val = { kind: 'synthetic', samples: 1 };
  const data = { train: { ...val, seed: 1 }, val };
  const text = JSON.stringify({ data, train: { steps: 1 }, loss });
  return loadConfig(studentSchema, { text, fileName: 'test' });
}

function counts(name: string, ...datasets: object[]): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify({ datasets }));
  return file;
}

const shares = (...values: number[]) =>
  values.map((share, k) => ({ name: DATA.classNames[k], share, pixels: 0, images: 1 }));

const refuses = (loss: object, message: RegExp) =>
  assert.throws(
    () => withClassWeights(config(loss), DATA),
    (error) => error instanceof ConfigError && message.test(error.message),
  );

test('weights come from the counts of data.train, by ENet or inversely, and are kept with the config', () => {
  const file = counts(
    'both.json',
    { name: 'data.val', classes: shares(1, 0, 0) },
    { name: 'data.train', classes: shares(0.75, 0.25, 0) },
  );
  const log = withClassWeights(config({ classCounts: file }), DATA).loss;
  assert.deepEqual(log.classWeights, [
    ...[1 / Math.log(1.77), 1 / Math.log(1.27), 1 / Math.log(1.02)],
  ]);
  assert.equal(log.classCounts, null);
  const given = config({ classCounts: file, classWeighting: 'inverse' });
  assert.deepEqual(withClassWeights(given, DATA).loss.classWeights, [1 / 2.25, 1 / 0.75, 0]);
  const only = counts('one.json', { name: 'voc/train', classes: shares(0.5, 0.25, 0.25) });
  assert.equal(withClassWeights(config({ classCounts: only }), DATA).loss.classWeights?.length, 3);
});

test('numbers are taken as they are; without any of the keys nothing changes', () => {
  const given = config({ classWeights: [1, 0, 2] });
  assert.equal(withClassWeights(given, DATA), given);
  const plain = config({});
  assert.equal(withClassWeights(plain, DATA), plain);
  assert.deepEqual([plain.loss.classWeights, plain.loss.ohem.threshold], [null, null]);
});

test('wrong numbers, files and classes are config errors that name the key', () => {
  refuses(
    { classWeights: [1, 2] },
    /loss\.classWeights: got 2 numbers, wanted one for each of data\.train's 3/,
  );
  refuses({ classWeights: [0, 0, 0] }, /loss\.classWeights: got only 0/);
  const none = join(folder, 'none.json');
  refuses({ classCounts: none }, /loss\.classCounts: .*none\.json: not the output of check-data/);
  const other = counts('other.json', { name: 'x', classes: [{ name: 'd', share: 1 }] });
  refuses({ classCounts: other }, /got the classes d, wanted data\.train's, a, b, c/);
  const empty = counts('empty.json');
  refuses({ classCounts: empty }, /not the output of check-data --json: other fields/);
  refuses({ classCounts: other, classWeights: [1, 2, 3] }, /got numbers, wanted null/);
});
