/**
 * `cirkd evaluate` and `cirkd predict` with a small network and generated streets: in one process for
 * all, and once each as a process of its own.
 */
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
import { after, test } from 'node:test';
import sharp from 'sharp';
import { openDataset } from '../../src/data/datasets.js';
import { readLabels } from '../../src/data/files/labelFiles.js';
import { evaluateDataset } from '../../src/evaluate/evaluateDataset.js';
import { loadSegmenter } from '../../src/evaluate/networkSegmenter.js';
import { paletteOf } from '../../src/evaluate/palette.js';
import { predictLabels } from '../../src/evaluate/predict.js';
import { colourLabels, encodePng } from '../../src/evaluate/raster.js';
import { initialWeights } from '../../src/models/initialise.js';
import { writeModelFile } from '../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CliSession, type CommandEnd } from '../support/commands/cliSession.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

const SIZE = ['--samples', '3', '--height', '32', '--width', '64', '--seed', '5'];
const DATASET = openDataset({
  kind: 'synthetic',
  split: 'val',
  samples: 3,
  height: 32,
  width: 64,
  seed: 5,
});

const directory = mkdtempSync(join(tmpdir(), 'cirkd-evaluate-'));
after(() => rmSync(directory, { recursive: true }));

const session = new CliSession();
after(() => session.close());

function cirkd(...argv: string[]): Promise<CommandEnd> {
  return session.run(...argv);
}

/** An untrained network. `mean`: of its pixels' red; beyond float32 it gives NaN logits. */
function modelFile(name: string, classNames: readonly string[], mean = 123): string {
  const spec = {
    model: 'deeplab_mobile',
    backbone: 'mobilenetv2',
    variant: 'v1',
    numClasses: classNames.length,
    widthMultiplier: 0.25,
  } as const;
  const network = SegmentationNetwork.create(spec, initialWeights(7));
  const normalisation = {
    pixelMean: [mean, 116, 103],
    pixelStd: [58, 57, 57],
    channelOrder: 'rgb',
  } as const;
  const file = join(directory, name);
  writeFileSync(file, writeModelFile({ spec, normalisation, classNames }, network.stateDict()));
  network.dispose();
  return file;
}

const MODEL = modelFile('streets.safetensors', DATASET.classNames);

test('evaluate: the JSON has the figures of evaluateDataset, with a picture for each sample', async () => {
  const pictures = join(directory, 'pictures');
  const { code, stdout } = await cirkd(
    ...['evaluate', '--model', MODEL, '--data', 'synthetic', ...SIZE],
    ...['--json', '--pictures', pictures],
  );
  assert.equal(code, 0);
  const report = JSON.parse(stdout);
  const segmenter = loadSegmenter(readFileSync(MODEL));
  const scores = await evaluateDataset(segmenter, DATASET);
  segmenter.dispose();
  assert.equal(report.dataset, 'synthetic/val');
  assert.equal(report.miou, scores.miou);
  assert.equal(report.pixelAccuracy, scores.pixelAccuracy);
  assert.equal(report.labelledPixels, scores.labelled);
  assert.deepEqual(
    report.classes.map(({ name }: { name: string }) => name),
    DATASET.classNames,
  );
  assert.deepEqual(readdirSync(pictures), ['val-000000.png', 'val-000001.png', 'val-000002.png']);
  const strip = await sharp(join(pictures, 'val-000000.png')).metadata();
  assert.deepEqual([strip.width, strip.height], [64 * 4 + 12, 32]);
});

test('evaluate: windows, scales and mirroring; score files; the requested pictures', async () => {
  const out = join(directory, 'scores');
  const pictures = join(directory, 'drawn');
  const { code, stdout, stderr } = await cirkd(
    ...['evaluate', '--model', MODEL, '--data', 'synthetic', ...SIZE, '--limit', '2'],
    ...['--scales', '0.75,1', '--flip', '--window', '24x32', '--batch', '3', '--confusion'],
    ...['--out', out, '--pictures', pictures, '--draw', 'classes,overlay,ids,errors'],
  );
  assert.equal(code, 0, stderr);
  const segmenter = loadSegmenter(readFileSync(MODEL));
  const scores = await evaluateDataset(segmenter, DATASET, {
    limit: 2,
    views: {
      ...{ scales: [0.75, 1], flip: true },
      window: {
        size: { height: 24, width: 32 },
        stride: { height: 16, width: 22 },
        batch: 1,
      },
    },
  });
  segmenter.dispose();
  const report = JSON.parse(readFileSync(join(out, 'scores.json'), 'utf8'));
  assert.deepEqual(report.confusion.flat(), [...scores.confusion]);
  assert.deepEqual([report.window, report.stride, report.flip], [[24, 32], [16, 22], true]);
  assert.match(stdout, /^truth \\ prediction, %/m);
  assert.equal(readFileSync(join(out, 'confusion.csv'), 'utf8').split('\n').length, 14);
  assert.match(readFileSync(join(out, 'classes.csv'), 'utf8'), /^road,/m);
  assert.equal(readFileSync(join(out, 'scores.txt'), 'utf8'), stdout);
  assert.deepEqual(
    readdirSync(pictures).filter((name) => name.startsWith('val-000000')),
    ['classes', 'errors', 'ids', 'overlay'].map((kind) => `val-000000-${kind}.png`),
  );
});

test('evaluate and predict through a running teacher give the results of the model file', async () => {
  const teacher = new TeacherProcess('--checkpoint', MODEL);
  after(() => teacher.kill());
  await teacher.ready();
  const { grpcPort } = await teacher.listening();
  const data = ['--data', 'synthetic', ...SIZE, '--limit', '1', '--window', '24x32', '--json'];
  const address = `127.0.0.1:${grpcPort}`;
  const there = await cirkd('evaluate', '--teacher', address, ...data);
  const here = await cirkd('evaluate', '--model', MODEL, ...data);
  assert.equal(there.code, 0, there.stderr);
  assert.deepEqual(JSON.parse(there.stdout).confusion, JSON.parse(here.stdout).confusion);
  const image = join(directory, 'asked.png');
  writeFileSync(image, await encodePng(await DATASET.load(1)));
  const out = join(directory, 'asked');
  const predicted = new CirkdProcess(
    ...['predict', '--teacher', address, '--out', out, '--draw', 'ids', image],
  );
  assert.equal(await predicted.exit(), 0, predicted.stderr);
  const segmenter = loadSegmenter(readFileSync(MODEL));
  const labels = predictLabels(segmenter, await DATASET.load(1));
  segmenter.dispose();
  assert.deepEqual((await readLabels(join(out, 'asked-ids.png'))).values, labels);
  // A dataset with other classes; a teacher that isn't there.
  const other = await cirkd(...['evaluate', '--teacher', address, ...(await camvidOptions())]);
  assert.equal(other.code, 4, other.stderr);
  assert.match(other.stderr, /classes: teacher .* has 12, the student's is 11/);
  teacher.kill();
  const gone = await cirkd(
    ...['evaluate', '--teacher', address, '--teacher-timeout', '1', ...data],
  );
  assert.equal(gone.code, 3, gone.stderr);
});

async function camvidOptions(): Promise<string[]> {
  const camvid = new CamvidFolder(join(directory, 'camvid'));
  await camvid.add('val', ['one']);
  return ['--data', 'camvid', '--root', camvid.root];
}

test('evaluate: the table has one line per class and the means', async () => {
  const { code, stdout } = await cirkd(
    ...['evaluate', '--model', MODEL, '--data', 'synthetic', ...SIZE, '--limit', '1'],
  );
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, DATASET.classNames.length + 4);
  assert.match(lines[0]!, /^road +(0\.\d{5}|absent)$/);
  assert.match(stdout, /^mIoU \(all 12 classes\) +0\.\d{5}$/m);
  assert.match(stdout, /^pixel accuracy +0\.\d{5}$/m);
});

test('evaluate: a truncated model gives exit code 5, missing or wrong data 7, wrong options 2', async () => {
  const truncated = join(directory, 'truncated.safetensors');
  writeFileSync(truncated, readFileSync(MODEL).subarray(0, -100));
  const data = ['--data', 'synthetic', ...SIZE];
  const broken = new CirkdProcess('evaluate', '--model', truncated, ...data);
  assert.equal(await broken.exit(), 5);
  assert.match(broken.stderr, /truncated\.safetensors: /);
  const absent = await cirkd('evaluate', '--model', join(directory, 'none'), ...data);
  assert.equal(absent.code, 5);
  const noData = await cirkd(
    ...['evaluate', '--model', MODEL, '--data', 'camvid', '--root', join(directory, 'nowhere')],
  );
  assert.equal(noData.code, 7);
  assert.match(noData.stderr, /nowhere/);
  const fewer = modelFile('fewer.safetensors', ['a', 'b', 'c']);
  const mismatch = await cirkd('evaluate', '--model', fewer, ...data);
  assert.equal(mismatch.code, 7);
  assert.match(mismatch.stderr, /12 classes, the network has 3/);
  assert.equal((await cirkd('evaluate', '--model', MODEL)).code, 2);
  const both = await cirkd('evaluate', '--model', MODEL, '--teacher', 'localhost:1', ...data);
  assert.equal(both.code, 2, both.stderr);
});

test('evaluate and predict: non-finite logits give exit code 6 and no result', async () => {
  const broken = modelFile('nan.safetensors', DATASET.classNames, 1e39);
  const out = join(directory, 'nan');
  const data = ['--data', 'synthetic', ...SIZE, '--out', out];
  const evaluated = await cirkd('evaluate', '--model', broken, ...data);
  assert.equal(evaluated.code, 6, evaluated.stderr);
  assert.match(evaluated.stderr, /^cirkd: logits: NaN or infinite/);
  assert.equal(evaluated.stdout, '');
  const image = join(directory, 'seen.png');
  writeFileSync(image, await encodePng(await DATASET.load(0)));
  const predicted = await cirkd('predict', '--model', broken, '--out', out, image);
  assert.equal(predicted.code, 6, predicted.stderr);
  assert.ok(!existsSync(out), 'something was written');
});

test('evaluate: a network with other class names is scored, with a note', async () => {
  const names = DATASET.classNames.map((name, k) => (k === 4 ? 'other' : name));
  const model = modelFile('renamed.safetensors', names);
  const data = ['--data', 'synthetic', ...SIZE, '--limit', '1'];
  const renamed = await cirkd('evaluate', '--model', model, ...data);
  assert.equal(renamed.code, 0, renamed.stderr);
  assert.match(renamed.stderr, /^classes: 4 is "other" in the network, ".+" in the dataset$/m);
  assert.equal((await cirkd('evaluate', '--model', MODEL, ...data)).stderr, '');
});

test('predict: a folder is read with its subfolders; one broken image and nothing is written', async () => {
  const folder = join(directory, 'images');
  mkdirSync(join(folder, 'below'), { recursive: true });
  const png = await encodePng(await DATASET.load(0));
  writeFileSync(join(folder, 'a.png'), png);
  writeFileSync(join(folder, 'below', 'a.png'), png);
  writeFileSync(join(folder, 'notes.txt'), 'not an image');
  const out = join(directory, 'folder-out');
  const argv = ['predict', '--model', MODEL, '--out', out, folder];
  writeFileSync(join(folder, 'z.png'), png.subarray(0, png.length - 40));
  const broken = await cirkd(...argv);
  assert.equal(broken.code, 7, broken.stderr);
  assert.match(broken.stderr, /images.z\.png: /);
  assert.ok(!existsSync(out), 'something was written');
  rmSync(join(folder, 'z.png'));
  const { code, stderr } = await cirkd(...argv);
  assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(out, { recursive: true }).map(String).sort(), [
    'a-classes.png',
    'a-overlay.png',
    'below',
    join('below', 'a-classes.png'),
    join('below', 'a-overlay.png'),
  ]);
});

test('predict: coloured classes and an overlay have the size of the image', async () => {
  const sample = await DATASET.load(0);
  const image = join(directory, 'street one.png');
  writeFileSync(image, await encodePng(sample));
  const out = join(directory, 'out', 'deep');
  const { code, stdout } = await cirkd('predict', '--model', MODEL, '--out', out, image);
  assert.equal(code, 0);
  const [classes, overlay] = stdout.trimEnd().split('\n');
  assert.equal(classes, join(out, 'street one-classes.png'));
  const segmenter = loadSegmenter(readFileSync(MODEL));
  const labels = predictLabels(segmenter, sample);
  segmenter.dispose();
  const wanted = colourLabels({ ...sample, labels }, paletteOf(DATASET.classNames));
  const got = await sharp(classes).removeAlpha().raw().toBuffer();
  assert.ok(got.equals(wanted.rgb), 'other colours than wanted');
  const { width, height } = await sharp(overlay).metadata();
  assert.deepEqual([width, height], [64, 32]);
});

test('predict: a corrupt image gives exit code 7; clashing names and no images give 2', async () => {
  const corrupt = join(directory, 'corrupt.png');
  writeFileSync(corrupt, 'not a picture');
  const out = ['--out', join(directory, 'out')];
  const bad = await cirkd('predict', '--model', MODEL, ...out, corrupt);
  assert.equal(bad.code, 7);
  assert.match(bad.stderr, /corrupt\.png/);
  const clash = await cirkd('predict', '--model', MODEL, ...out, 'a/x.png', 'b/x.jpg');
  assert.equal(clash.code, 2);
  assert.match(clash.stderr, /two images are called x/);
  assert.equal((await cirkd('predict', '--model', MODEL, ...out)).code, 2);
});
