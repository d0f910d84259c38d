/** What a run says about its data while it trains. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { withExtraneousBytes } from '../support/datasets/oddJpeg.js';
import { tinyStudent } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-data-warnings-'));
after(() => rmSync(folder, { recursive: true }));
let config: string;
before(() => {
  config = tinyStudent(folder);
});

/** Labels alone, two loader threads. */
function student(id: string, { root }: CamvidFolder, steps: number): CirkdProcess {
  const data = JSON.stringify({ kind: 'camvid', root });
  const settings = [
    ...[`run.id=${id}`, `data.train=${data}`, `data.val=${data}`, `train.steps=${steps}`],
    ...['run.evaluateEverySteps=1', 'data.workers=2', 'teacher.addresses=[]'],
  ];
  return new CirkdProcess(
    ...['student', '--config', config, ...settings.flatMap((one) => ['--set', one])],
  );
}

const warnings = ({ stderr }: CirkdProcess, pattern: RegExp) =>
  stderr.split('\n').filter((line) => /warn/i.test(line) && pattern.test(line));

test('a file that a decoder complains of is named once, in training and in evaluation', async () => {
  const set = new CamvidFolder(join(folder, 'odd'));
  await set.add('train', ['a', 'b', 'c']);
  await set.add('val', ['v']);
  // What the file holds counts, not its name.
  for (const file of [set.imageFile('train', 'b'), set.imageFile('val', 'v')]) {
    const jpeg = await sharp(readFileSync(file)).jpeg().toBuffer();
    writeFileSync(file, withExtraneousBytes(jpeg));
  }
  const run = student('odd', set, 4);
  assert.equal(await run.exit(), 0, run.stderr);
  for (const file of ['train/b.png', 'val/v.png']) {
    const lines = warnings(run, new RegExp(`odd/${file}: .*18 extraneous bytes before marker`));
    assert.equal(lines.length, 1, run.stderr);
  }
  assert.equal(warnings(run, /no pixel has a class/).length, 0);
});

test('labels that are all void are reported once, with counts, for training and evaluation', async () => {
  const set = new CamvidFolder(join(folder, 'void'));
  await set.add('train', ['a', 'b'], { label: () => 11 });
  await set.add('val', ['v'], { label: () => 255 });
  const run = student('void', set, 3);
  assert.equal(await run.exit(), 0, run.stderr);
  const train = warnings(
    run,
    /data\.train: the first 3 batches: no pixel has a class, all \d+ in \d+ images/,
  );
  assert.equal(train.length, 1, run.stderr);
  const val = warnings(run, /data\.val: no pixel has a class, all 2240 in 1 images are ignored/);
  assert.equal(val.length, 1, run.stderr);
});
