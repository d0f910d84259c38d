/** `cirkd evaluate` and `cirkd predict` with files that are broken, that a decoder warns of, or without labels. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { STREET_CLASSES } from '../../src/data/streets/classes.js';
import { CliSession } from '../support/commands/cliSession.js';
import { drawImage, drawLabels } from '../support/datasets/drawnFiles.js';
import { withExtraneousBytes } from '../support/datasets/oddJpeg.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-broken-'));
const session = new CliSession();
after(() => {
  session.close();
  rmSync(directory, { recursive: true });
});

const MODEL = join(directory, 'model.safetensors');
const [images, labels] = [join(directory, 'images'), join(directory, 'labels')];
const table = join(directory, 'classes.yaml');
const SIZE = { height: 32, width: 48 };
const imageFile = (name: string) => join(images, `${name}.jpg`);
const labelFile = (name: string) => join(labels, `${name}.png`);

before(async () => {
  writeUntrainedModel(MODEL, 0.25);
  const entries = STREET_CLASSES.map(([name, colour], id) => ({ id, name, colour }));
  writeFileSync(table, JSON.stringify(entries));
  mkdirSync(labels);
  for (const [seed, name] of ['cut', 'odd', 'plain', 'wrong'].entries()) {
    await drawImage(imageFile(name), seed, SIZE);
    drawLabels(labelFile(name), { ...SIZE, label: (y) => y % 12 });
  }
  const cut = readFileSync(imageFile('cut'));
  writeFileSync(imageFile('cut'), cut.subarray(0, cut.length >> 1));
  writeFileSync(imageFile('odd'), withExtraneousBytes(readFileSync(imageFile('odd'))));
  drawLabels(labelFile('wrong'), { ...SIZE, label: () => 77 });
});

const dataset = (labelFolder = labels) => [
  ...['--data', 'folder', '--images', images, '--labels', labelFolder, '--class-table', table],
];
const evaluate = (...more: string[]) => session.run('evaluate', '--model', MODEL, ...more);

test('evaluate --skip-broken scores the other files, lists the broken ones and exits 7 at the end', async () => {
  const strict = await evaluate(...dataset());
  assert.equal(strict.code, 7);
  assert.equal(strict.stdout, '');
  const out = join(directory, 'scores');
  const skipping = await evaluate(...dataset(), '--skip-broken', '--json', '--out', out);
  assert.equal(skipping.code, 7, skipping.stderr);
  assert.deepEqual(
    skipping.stderr.match(/^skipped: .*\/(cut\.jpg|wrong\.png): /gm)?.length,
    2,
    skipping.stderr,
  );
  assert.match(skipping.stderr, /wrong\.png: got label 77 at row 0, column 0/);
  assert.match(skipping.stderr, /^cirkd: 2 of 4 skipped, listed above$/m);
  const report = JSON.parse(skipping.stdout);
  assert.equal(report.labelledPixels, 2 * SIZE.height * SIZE.width);
  assert.deepEqual(JSON.parse(readFileSync(join(out, 'scores.json'), 'utf8')), report);
});

test("a decoder's warning is on standard error, naming the file, once", async () => {
  const { stderr } = await evaluate(...dataset(), '--skip-broken');
  const warnings = stderr.match(/^warning: .*$/gm) ?? [];
  assert.equal(warnings.length, 1, stderr);
  assert.match(warnings[0]!, /^warning: .*\/odd\.jpg: .*18 extraneous bytes before marker/);
});

test('predict --skip-broken predicts the other images, lists the broken one and exits 7 at the end', async () => {
  const out = join(directory, 'predicted');
  const strict = await session.run('predict', '--model', MODEL, '--out', out, images);
  assert.equal(strict.code, 7, strict.stderr);
  assert.ok(!existsSync(out), 'something was written');
  const argv = [
    'predict',
    '--model',
    MODEL,
    '--out',
    out,
    '--draw',
    'ids',
    '--skip-broken',
    images,
  ];
  const { code, stdout, stderr } = await session.run(...argv);
  assert.equal(code, 7, stderr);
  assert.match(stderr, /^skipped: .*\/cut\.jpg: not a readable image: /m);
  assert.match(stderr, /^warning: .*\/odd\.jpg: /m);
  assert.match(stderr, /^cirkd: 1 of 4 skipped, listed above$/m);
  const written = ['odd-ids.png', 'plain-ids.png', 'wrong-ids.png'];
  assert.deepEqual(readdirSync(out).sort(), written);
  assert.equal(stdout, written.map((name) => `${join(out, name)}\n`).join(''));
  // Where nothing is broken, the option changes nothing.
  const whole = [...argv.slice(0, -1), imageFile('plain')];
  assert.equal((await session.run(...whole)).code, 0);
});

test('evaluate warns where no pixel has a class', async () => {
  const voids = join(directory, 'void');
  for (const name of ['cut', 'odd', 'plain', 'wrong']) {
    drawLabels(join(voids, `${name}.png`), { ...SIZE, label: () => 255 });
  }
  const { code, stderr } = await evaluate(...dataset(voids), '--skip-broken');
  assert.equal(code, 7);
  assert.match(
    stderr,
    /^warning: folder\/val: no pixel has a class, all 4608 in 3 images are ignored\./m,
  );
  const labelled = await evaluate(...dataset(), '--skip-broken');
  assert.doesNotMatch(labelled.stderr, /no pixel has a class/);
});
