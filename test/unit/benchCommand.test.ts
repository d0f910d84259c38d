/** `cirkd bench`: its options, its sums, and a run of a tiny network. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readBenchOptions } from '../../services/cli/bench/benchOptions.js';
import { madeLabels } from '../../services/cli/bench/inputs.js';
import { median } from '../../services/cli/bench/measureWork.js';
import { summarise } from '../../services/cli/bench/opProfile.js';
import { StudentWork } from '../../services/cli/bench/studentWork.js';
import { TeacherWork } from '../../services/cli/bench/teacherWork.js';
import { numTensors } from '../../src/tensor/index.js';
import { multiplyAdds } from '../../src/tensor/multiplyAdds.js';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-bench-'));
after(() => rmSync(folder, { recursive: true }));

test('ops are sorted by time per repetition; the rest is the time outside of ops', () => {
  const ops = new Map([
    ['Relu', { calls: 4, milliseconds: 20, multiplyAdds: 0 }],
    ['Conv2D', { calls: 2, milliseconds: 60, multiplyAdds: 3e9 }],
  ]);
  assert.deepEqual(summarise(ops, 100, 2), {
    ms: 50,
    rows: [
      { op: 'Conv2D', calls: 1, ms: 30, share: 0.6, gigaflops: 100 },
      { op: 'Relu', calls: 2, ms: 10, share: 0.2, gigaflops: null },
    ],
    rest: { ms: 10, share: 0.2 },
  });
});

test('multiply-adds of products and convolutions, from their shapes', () => {
  const image = [2, 8, 6, 3];
  const strided = [2, 4, 3, 5];
  const weights = [3, 3, 3, 5];
  const expected = 2 * 4 * 3 * 5 * (3 * 3 * 3);
  assert.equal(multiplyAdds('CirkdConv2D', [image, weights, [6]], strided), expected);
  assert.equal(multiplyAdds('CirkdConv2DInputGrad', [strided, weights, [6]], image), expected);
  assert.equal(multiplyAdds('CirkdConv2DFilterGrad', [image, strided, [6]], weights), expected);
  assert.equal(multiplyAdds('Conv2DBackpropInput', [[4], weights, strided], image), expected);
  assert.equal(multiplyAdds('Conv2DBackpropFilter', [image, [4], strided], weights), expected);
  const depthwise = 2 * 4 * 3 * 3 * (3 * 3);
  assert.equal(multiplyAdds('CirkdDepthwise', [image, [3, 3, 1, 3], [6]], [2, 4, 3, 3]), depthwise);
  assert.equal(
    multiplyAdds(
      'MatMul',
      [
        [7, 4],
        [7, 5],
      ],
      [4, 5],
    ),
    7 * 4 * 5,
  );
  assert.equal(
    multiplyAdds(
      'BatchMatMulV2',
      [
        [2, 4, 7],
        [7, 5],
      ],
      [2, 4, 5],
    ),
    2 * 7 * 4 * 5,
  );
  assert.equal(
    multiplyAdds(
      'MatMul',
      [
        [0, 4],
        [4, 5],
      ],
      [0, 5],
    ),
    0,
  );
  assert.equal(multiplyAdds('AddV2', [image, image], image), 0);
});

test('the median is the middle value, or the mean of the two middle values', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('labels are squares of one class or of none', () => {
  const { workload } = readBenchOptions(['--height', '64', '--width-pixels', '96']);
  const { data } = madeLabels(workload);
  const at = (row: number, column: number) => data[row * 96 + column]!;
  const corners = [0, 32, 64].flatMap((column) => [at(0, column), at(31, column + 31)]);
  assert.equal(new Set(corners).size <= 3, true, corners.join());
  assert.deepEqual([corners[0], corners[2], corners[4]], [corners[1], corners[3], corners[5]]);
  assert.ok(new Set(data).size > 3, [...new Set(data)].join());
  assert.ok(
    [...data].every((label) => label < 19 || label === 255),
    'no other number',
  );
});

test('an invalid option is named in the error', () => {
  const refuses = (argv: string[], message: RegExp) =>
    assert.throws(() => readBenchOptions(argv), message);
  refuses(['--batch', '1'], /^UsageError: --batch: 1 given, wanted a whole number of at least 2/);
  refuses(['--loss', 'all'], /^UsageError: --loss: all given, wanted labels or cirkd/);
  refuses(['--backbone', 'resnet19'], /^UsageError: --backbone: 'resnet19' given/);
  refuses(['--model', 'unet'], /^UsageError: --model: 'unet' given/);
  refuses(['--width', '0'], /^UsageError: --width: 0 given/);
  refuses(['--classes', '300'], /^UsageError: --classes: 300 given, wanted at most 255/);
});

const TINY = [
  ...['--model', 'deeplab_mobile', '--backbone', 'mobilenetv2', '--width', '0.125'],
  ...['--height', '32', '--width-pixels', '48', '--classes', '2', '--teacher-channels', '8'],
  ...['--steps', '2', '--warm-up', '1', '--threads', '1', '--profile'],
];

test('cirkd bench prints both figures and the profiles, and writes the file', () => {
  const json = join(folder, 'bench', 'tiny.json');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [BIN, 'bench', ...TINY, '--json', json],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const begin = /^deeplab_mobile-mobilenetv2\/v1 x0\.125, 2 classes, 2×32×48, loss: cirkd\./;
  assert.match(stdout, begin);
  assert.match(stdout, /\nteacher forward +\d+\.\d\d /);
  assert.match(stdout, /\nstudent step, time per op\n.*\nrest: JavaScript, waiting /s);
  const { measurements, workload, threads } = JSON.parse(readFileSync(json, 'utf8'));
  assert.deepEqual([workload.loss, threads, measurements.length], ['cirkd', 1, 2]);
  for (const { name, ms, profile } of measurements) {
    assert.equal(ms.length, 2, name);
    const shares = profile.rows.reduce((sum: number, row: { share: number }) => sum + row.share, 0);
    assert.ok(Math.abs(shares + profile.rest.share - 1) < 1e-9, `${name}: ${shares}`);
    assert.ok(profile.machineGigaflops > 0, name);
  }
});

test('work leaves no tensor behind, and its banks are full', () => {
  const { workload } = readBenchOptions(TINY);
  const before = numTensors();
  const student = new StudentWork(workload);
  const { pixel, region } = student.trainer.parts.objective.banks;
  assert.deepEqual([pixel!.fillRatio, region!.fillRatio], [1, 1]);
  // The first step opens the parameters' memory.
  student.step();
  const prepared = numTensors();
  student.step();
  assert.equal(numTensors(), prepared);
  student.dispose();
  const teacher = new TeacherWork(workload);
  assert.equal(teacher.forward().length, 2);
  teacher.dispose();
  assert.equal(numTensors(), before);
});
