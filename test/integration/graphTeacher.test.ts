/** `cirkd teacher --onnx` as a process: students train on it, commands ask it, what it refuses. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { drawImage, drawLabels } from '../support/datasets/drawnFiles.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { writeTiny } from '../support/onnx/openTiny.js';
import type { TinyGraph } from '../support/onnx/tinyGraph.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

/** Made by test/fixtures/savedModel/make.py: 3 classes. */
const SAVED_MODEL = fileURLToPath(new URL('../fixtures/savedModel/tiny', import.meta.url));
const STEPS = 20;
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region', 'total'];
const folder = mkdtempSync(join(tmpdir(), 'cirkd-graph-teacher-'));
const started: (TeacherProcess | CirkdProcess)[] = [];
let config: string;

/** A graph of the synthetic streets' 12 classes, with its settings beside it. */
function graphFile(graph: TinyGraph = {}, settings = 'normalisation: imagenet\n'): string {
  const path = writeTiny(folder, graph);
  writeFileSync(join(dirname(path), 'model.yaml'), settings);
  return path;
}

async function serve(path: string, ...more: string[]) {
  const teacher = new TeacherProcess('--onnx', path, ...more);
  started.push(teacher);
  const line = await teacher.ready();
  const { grpcPort, metricsUrl } = await teacher.listening();
  return { teacher, line, grpcPort, metricsUrl };
}

function cirkd(...args: string[]): CirkdProcess {
  const process = new CirkdProcess(...args);
  started.push(process);
  return process;
}

function student(id: string, port: number, ...settings: string[]): CirkdProcess {
  const all = [`run.id=${id}`, `teacher.addresses=["127.0.0.1:${port}"]`, `train.steps=${STEPS}`];
  const sets = [...all, ...settings].flatMap((one) => ['--set', one]);
  return cirkd('student', '--config', config, ...sets);
}

function assertSteps(id: string, terms: readonly string[]): void {
  const steps = new TrainedRun(folder, id).steps();
  assert.equal(steps.length, STEPS);
  for (const step of steps) {
    assert.deepEqual(Object.keys(step.terms), terms);
    assert.ok(Object.values(step.terms).every(Number.isFinite), JSON.stringify(step.terms));
  }
}

before(() => {
  config = tinyStudent(folder);
});
afterEach(() => {
  for (const process of started.splice(0)) process.kill();
});
after(() => rmSync(folder, { recursive: true }));

test('students train on a graph with all terms, in fp16 and int8; SIGTERM ends it with exit code 0', async () => {
  const path = graphFile({ externalFile: 'weights.bin' });
  const { teacher, line, grpcPort, metricsUrl } = await serve(
    path,
    ...['--set', 'batch.maxImages=4', '--set', 'warmUp=[[48,64]]'],
  );
  assert.match(line, /model model\.onnx, digest sha256:[0-9a-f]{64}/);
  assert.equal(await healthOf(grpcPort, ''), 'SERVING');
  for (const encoding of ['fp16', 'int8']) {
    const run = student(encoding, grpcPort, `teacher.encoding=${encoding}`);
    assert.equal(await run.exit(), 0, run.stderr);
    assertSteps(encoding, TERMS);
  }
  assert.equal(await metricOf(metricsUrl, 'cirkd_teacher_images_total'), 2 * 2 * STEPS);
  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0, teacher.stderr);
});

test('students train on a SavedModel of real TensorFlow with all terms', async () => {
  const teacher = new TeacherProcess(
    '--saved-model',
    SAVED_MODEL,
    '--set',
    'graph.normalisation=unit',
  );
  started.push(teacher);
  await teacher.ready();
  const { grpcPort } = await teacher.listening();
  const images = ['1.png', '2.png', '3.png'];
  for (const [seed, name] of images.entries()) {
    await drawImage(join(folder, 'frames', name), seed);
    drawLabels(join(folder, 'labels', name), { label: (y, x) => (y + x + seed) % 3 });
  }
  const names = ['road', 'car', 'sky'].map((name, id) => ({ id, name, colour: [id, id, id] }));
  writeFileSync(join(folder, 'classes.json'), JSON.stringify(names));
  const data = {
    kind: 'folder',
    imageFolder: join(folder, 'frames'),
    labelFolder: join(folder, 'labels'),
    classTable: join(folder, 'classes.json'),
  };
  const sets = ['train', 'val'].map((split) => `data.${split}=${JSON.stringify(data)}`);
  const run = student('saved-model', grpcPort, ...sets);
  assert.equal(await run.exit(), 0, run.stderr);
  assertSteps('saved-model', TERMS);
});

test('with one output students train on the logits alone, and log it', async () => {
  const { grpcPort } = await serve(graphFile({ names: ['scores', null] }));
  const run = student('logits', grpcPort);
  assert.equal(await run.exit(), 0, run.stderr);
  assertSteps('logits', ['task', 'logits_kd', 'total']);
  assert.match(run.stderr, /terms left out/);
});

test('predict and evaluate use a graph teacher, with a feature and without', async () => {
  const image = join(folder, 'street.png');
  await drawImage(image, 1);
  for (const names of [
    ['logits', 'feature'],
    ['logits', null],
  ] as const) {
    const { grpcPort } = await serve(graphFile({ names }));
    const address = `127.0.0.1:${grpcPort}`;
    const out = join(folder, `seen-${names.join('-')}`);
    const predict = cirkd('predict', '--teacher', address, '--out', out, image);
    assert.equal(await predict.exit(), 0, predict.stderr);
    const data = ['--data', 'synthetic', '--samples', '2', '--height', '48', '--width', '96'];
    const evaluate = cirkd('evaluate', '--teacher', address, ...data);
    assert.equal(await evaluate.exit(), 0, evaluate.stderr);
    assert.match(evaluate.stdout, /mIoU/);
  }
});

test("crops that do not match a graph's fixed size give exit code 4 with both sizes", async () => {
  const { grpcPort } = await serve(graphFile({ size: [64, 64] }));
  const run = student('fixed', grpcPort);
  assert.equal(await run.exit(), 4);
  assert.match(run.stderr, /48 x 64 given, the teacher's graph takes 64 x 64/);
  const fits = student('fits', grpcPort, 'data.crop.height=64', 'train.steps=2');
  assert.equal(await fits.exit(), 0, fits.stderr);
});

test('graphs that cannot be served give exit codes and the cause', async () => {
  const cut = graphFile();
  writeFileSync(cut, readFileSync(cut).subarray(0, 5000));
  const noData = graphFile({ externalFile: 'weights.bin' });
  rmSync(join(dirname(noData), 'weights.bin'));
  const cases: [string[], number, RegExp][] = [
    [['--onnx', cut], 5, /ONNX file .*: 5000 bytes that aren't an ONNX model/],
    [['--onnx', join(folder, 'no.onnx')], 5, /no\.onnx: no such file/],
    [['--onnx', noData], 5, /external data 'weights\.bin': no such file/],
    [['--onnx', graphFile({ opsets: { '': 99 } })], 5, /opsets ai\.onnx 99/],
    [
      ['--onnx', graphFile({}, 'classes: 3\n')],
      5,
      /classes: 3 given \(model\.yaml\).*12 channels[\s\S]*missing: normalisation[\s\S]*model\.yaml/,
    ],
    [
      ['--onnx', graphFile({ size: [32, 32] }), '--set', 'warmUp=[[48,64]]'],
      5,
      /warmUp: .*takes 32 x 32/,
    ],
    [['--saved-model', folder], 5, /no saved_model\.pb in the folder/],
    [['--onnx', graphFile({}, 'class: 3\n')], 2, /model\.yaml: 1 fault\n.*class: unknown key/],
    [['--onnx', graphFile(), '--provider', 'cuda'], 2, /libonnxruntime_providers_cuda\.so/],
  ];
  for (const [args, code, message] of cases) {
    const teacher = new TeacherProcess(...args);
    started.push(teacher);
    assert.equal(await teacher.exit(), code, teacher.stderr);
    assert.match(teacher.stderr, message);
    assert.equal(teacher.stdout, '');
  }
});

test('import --describe says what a graph is and what is missing', async () => {
  const path = graphFile({ names: ['a', 'b'], classes: 9, channels: 9 }, 'alignCorners: true\n');
  const asked = cirkd('import', '--describe', path);
  assert.equal(await asked.exit(), 0, asked.stderr);
  for (const line of [
    /: ONNX, opset ai\.onnx 17, made by tests 1, run by onnxruntime 1\.\d+\.\d+ cpu/,
    /image +float32 \[\?, 3, \?, \?\] +the image/,
    /a +float32 \[\?, 9, \?, \?\] +not used/,
    /layout +nchw +the graph: where the 3 is/,
    /missing\n +normalisation \(.*\n +logits \(which of a .*, b /,
    /model\.yaml or under graph in the teacher's config/,
  ]) {
    assert.match(asked.stdout, line);
  }
  const sets = ['normalisation=unit', 'logits=a', 'feature=b'].flatMap((set) => [
    '--set',
    `graph.${set}`,
  ]);
  const description = cirkd('import', '--describe', path, ...sets);
  assert.equal(await description.exit(), 0, description.stderr);
  assert.match(description.stdout, /logits +a \(9 channels, 8 x 16\) +config/);
  assert.match(description.stdout, /alignCorners +true +model\.yaml/);
  assert.match(description.stdout, /it can be served: cirkd teacher --onnx/);
  const other = cirkd('import', '--describe', config);
  assert.equal(await other.exit(), 5);
  assert.match(other.stderr, /student\.yaml: neither a PyTorch file nor safetensors/);
});
