/**
 * docs/teachers.md as it stands: its blocks of Python run with the real packages, the files that they write are
 * served, and the answers over gRPC are PyTorch's. Batches of several images, and several sizes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NORMALISATIONS } from '../../src/graphs/graphSettings.js';
import { drawsFor } from '../../src/random/draws.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { studentOptions } from '../support/students/scriptedStudent.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';
import { exporterPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('graphExportPeer.py', import.meta.url));
const PAGE = readFileSync(new URL('../../docs/teachers.md', import.meta.url), 'utf8');
/** Of the largest value. */
const TOLERANCE = 1e-4;
/** Three of one size, that may be a batch, and one of another. */
const SIZES = [
  [65, 97],
  [65, 97],
  [65, 97],
  [96, 40],
] as const;

const root = mkdtempSync(join(tmpdir(), 'cirkd-export-'));
const started: TeacherProcess[] = [];
let student: RemoteTeacher | undefined;

afterEach(async () => {
  await student?.close();
  for (const teacher of started.splice(0)) teacher.kill();
});
after(() => rmSync(root, { recursive: true }));

function block(name: string): string {
  const found = new RegExp(
    `<!-- ${name}: begin -->\\n\`\`\`python\\n([\\s\\S]*?)\`\`\`\\n<!-- ${name}: end`,
  ).exec(PAGE);
  assert.ok(found, `no block ${name} on the page`);
  return found[1]!;
}

function drawnImages(folder: string) {
  return SIZES.map(([height, width], index) => {
    const draws = drawsFor(11, 'test', index);
    const rgb = Uint8Array.from({ length: height * width * 3 }, () => draws.integer(256));
    const file = join(folder, `${index}.rgb`);
    writeFileSync(file, rgb);
    return { file, height, width, rgb };
  });
}

function assertClose(got: Float32Array, file: string, what: string): void {
  const bytes = readFileSync(file);
  const wanted = new Float32Array(new Uint8Array(bytes).buffer);
  assert.equal(got.length, wanted.length, what);
  const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const worst = wanted.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i]!)), 0);
  const apart = worst / largest;
  assert.ok(apart <= TOLERANCE, `${what}: ${apart} of the largest value apart`);
  process.stderr.write(`${what}: ${apart.toExponential(1)} of the largest value apart\n`);
}

async function serve(folder: string) {
  const batches = ['batch.maxImages=3', 'batch.maxDelayMs=3000'];
  const sets = batches.flatMap((one) => ['--set', one]);
  const teacher = new TeacherProcess('--onnx', join(folder, 'teacher.onnx'), ...sets);
  started.push(teacher);
  await teacher.ready();
  return teacher.listening();
}

const CASES = [
  {
    name: 'torchvision',
    published: false,
    replace: { 'weights="DEFAULT"': 'weights=None, weights_backbone=None' },
    info: [21, 256],
  },
  {
    name: 'mmsegmentation',
    published: true,
    replace: {
      'CONFIG.py': 'deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
      '"WEIGHTS.pth"': 'None',
    },
    info: [19, 128],
  },
] as const;

for (const { name, published, replace, info } of CASES) {
  test(`${name}: exported as the page says, served answers are PyTorch's`, async () => {
    const folder = join(root, name);
    mkdirSync(folder);
    const images = drawnImages(folder);
    const { pixelMean: mean, pixelStd: std } = NORMALISATIONS.imagenet;
    const code = block(name);
    const files = images.map(({ rgb: _, ...file }) => file);
    const task = { folder, code, replace, published, mean, std, images: files };
    await exporterPeer(PEER, JSON.stringify(task));
    writeFileSync(join(folder, 'teacher.yaml'), /```yaml\n([\s\S]*?)```/.exec(PAGE)![1]!);
    const { grpcPort, metricsUrl } = await serve(folder);
    const [classes, channels] = info;
    student = await connectTeachers(
      studentOptions([`127.0.0.1:${grpcPort}`], {
        expected: { classes, outputStride: 8 },
        requestTimeoutMs: 120_000,
        teacherTimeoutMs: 120_000,
        maxInflightBytes: 100_000_000,
      }).options,
    );
    assert.equal(student.info.featureChannels, channels);
    const replies = await Promise.all(
      images.map(({ file, height, width, rgb }) =>
        student!.request({ sample: file, augmentationSeed: 0n, height, width, rgb }),
      ),
    );
    for (const [index, { logits, embedding, featureNorm }] of replies.entries()) {
      const { file } = images[index]!;
      assertClose(new Float32Array(logits!.data), `${file}.logits`, `${name} ${index} logits`);
      const norm = new Float32Array(featureNorm!.data);
      const rows = new Float32Array(embedding!.data);
      const feature = rows.map((value, at) => value * norm[Math.floor(at / channels)]!);
      assertClose(feature, `${file}.feature`, `${name} ${index} feature`);
    }
    const batches = await metricOf(metricsUrl, 'cirkd_teacher_batch_images_count');
    assert.ok(batches < images.length, `${batches} batches for ${images.length} images`);
  });
}
