/** The kernels under the relational losses: tiles, passes, budgets and leaks. */
// @own-process: measures the process' memory
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { unitRows } from '../../src/losses/normalize.js';
import { pairwiseKl, SMALLEST_TEMPERATURE, tiledPairwiseKl } from '../../src/losses/pairwiseKl.js';
import { rowsKl, tiledRowsKl } from '../../src/losses/rowsKl.js';
import { rowBlocks, tilesOfBlock } from '../../src/losses/similarityTiles.js';
import { softmaxKl } from '../../src/losses/softmaxKl.js';
import { blockSide, keptMatrices, type Tiling, tileRowCount } from '../../src/losses/tiling.js';
import { drawsFor } from '../../src/random/draws.js';
import {
  Accumulator,
  float32,
  nativeKernels,
  numTensors,
  ops,
  readFloat32,
  scope,
  type Tensor,
} from '../../src/tensor/index.js';

const HAS_BF16 = /\bavx512_bf16\b/.test(
  existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '',
);

const uniform = (length: number, stream: number, low = -1, high = 1) => {
  const values = new Float32Array(length);
  drawsFor(11, 'test', stream).fillUniform(values, low, high);
  return values;
};
const matrix = (rows: number, columns: number, stream: number, reach = 1) =>
  float32(uniform(rows * columns, stream, -reach, reach), [rows, columns]);
const unit = (rows: number, channels: number, stream: number) =>
  scope(() => unitRows(matrix(rows, channels, stream)).embedding_PC);

/** Largest difference, divided by the largest expected magnitude. */
function distance(got: Tensor, wanted: Tensor): number {
  assert.deepEqual(got.shape, wanted.shape);
  const [a, b] = [readFloat32(got), readFloat32(wanted)];
  const largest = b.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i]!)), 0) / largest;
}

function assertClose(got: Tensor, wanted: Tensor, tolerance: number, what: string): void {
  const off = distance(got, wanted);
  assert.ok(off <= tolerance, `${what}: off by ${off} of the largest, allowed ${tolerance}`);
}

describe('the fused kernels', () => {
  const common = { temperature: 0.1, scale: 0.01 };
  /** A row, less than a tile, whole blocks of 192 and a bit more; channels that are no multiple of a panel. */
  const SIZES = [
    { images: 1, rows: 1, channels: [1, 1] },
    { images: 3, rows: 37, channels: [5, 300] },
    { images: 2, rows: 192, channels: [64, 32] },
    { images: 2, rows: 401, channels: [70, 19] },
  ] as const;

  it("give what tiles composed of TensorFlow's ops give", () => {
    for (const { images, rows, channels } of SIZES) {
      scope(() => {
        const total = images * rows;
        const [student_PC, teacher_PD] = [unit(total, channels[0], 1), unit(total, channels[1], 2)];
        const input = { student_PC, teacher_PD, images, ...common };
        const wanted = tiledPairwiseKl({ ...input, tiling: { lossMemoryMiB: 64 } });
        const got = pairwiseKl({ ...input, tiling: { lossMemoryMiB: 1 } });
        const what = `${images} x ${rows}`;
        assert.ok(Math.abs(got.loss - wanted.loss) < 2e-6 * (1 + wanted.loss), what);
        // Of one row nothing can be told apart: both are 0 but for rounding.
        if (rows > 1) assertClose(got.gradient_PC, wanted.gradient_PC, 2e-5, what);

        const keys_MD = unit(rows, channels[1], 3);
        const student_PD = unit(total, channels[1], 4);
        const toKeys = { student_PD, teacher_PD, keys_MD, ...common, tiling: { lossMemoryMiB: 1 } };
        const [own, tiled] = [rowsKl(toKeys), tiledRowsKl(toKeys)];
        assert.ok(Math.abs(own.loss - tiled.loss) < 2e-6 * (1 + tiled.loss), `keys of ${what}`);
        if (rows > 1) assertClose(own.gradient_PD, tiled.gradient_PD, 2e-5, `keys of ${what}`);
      });
    }
  });

  it('give the same bits each time and with every budget', () => {
    scope(() => {
      const [student_PC, teacher_PD] = [unit(3 * 500, 24, 1), unit(3 * 500, 40, 2)];
      const [student_PD, keys_MD] = [unit(3 * 500, 40, 3), unit(700, 40, 4)];
      // Squares of one block; of two, with some kept; all kept, twice; by the rows of a tile.
      const tilings = [
        { lossMemoryMiB: 0.5 },
        { lossMemoryMiB: 8 },
        { lossMemoryMiB: 64 },
        { lossMemoryMiB: 64 },
      ];
      const bits = [...tilings, { lossMemoryMiB: 12, tileRows: 384 }].map((tiling) => {
        const pairs = pairwiseKl({ student_PC, teacher_PD, images: 3, ...common, tiling });
        const rows = rowsKl({ student_PD, teacher_PD, keys_MD, ...common, tiling });
        const gradients = [pairs.gradient_PC, rows.gradient_PD].map(readFloat32);
        return [pairs.loss, rows.loss, ...gradients];
      });
      for (const other of bits.slice(1)) assert.deepEqual(other, bits[0]);
    });
  });

  it('round the factors of products with keys to bfloat16 where they may', () => {
    scope(() => {
      // An odd number of channels and of keys.
      for (const [rows, keys, channels] of [
        [250, 1111, 128],
        [40, 333, 21],
      ] as const) {
        const student_PD = unit(rows, channels, 1);
        const [teacher_PD, keys_MD] = [unit(rows, channels, 2), unit(keys, channels, 3)];
        const input = { student_PD, teacher_PD, keys_MD, ...common, tiling: { lossMemoryMiB: 8 } };
        const [exact, rounded] = [rowsKl(input), rowsKl({ ...input, products: 'bf16' })];
        // Nothing changes on a processor without the instruction.
        assert.ok(Math.abs(rounded.loss / exact.loss - 1) < 1e-3, `${rounded.loss}, ${exact.loss}`);
        assertClose(rounded.gradient_PD, exact.gradient_PD, 0.01, `${rows} x ${keys}`);
        const again = rowsKl({ ...input, products: 'bf16', tiling: { lossMemoryMiB: 64 } });
        assert.equal(again.loss, rounded.loss);
        assert.deepEqual(readFloat32(again.gradient_PD), readFloat32(rounded.gradient_PD));
        const has = HAS_BF16 && process.env['CIRKD_VECTOR_LEVEL'] === undefined;
        assert.equal(rounded.loss !== exact.loss, has, 'rounds only where it is faster');
      }
    });
  });

  it('work in several threads of Node.js, at the same time and in turn', {
    timeout: 60_000,
  }, async () => {
    const source = `
      const { parentPort } = require('node:worker_threads');
      const binding = require('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
      const x = binding.createTensor([256, 1], 1, new Float32Array(256).fill(1));
      const numbers = binding.createTensor([4], 1, Float32Array.of(1, 1, 1, 0));
      let out;
      for (let i = 0; i < 50; i++) out = binding.executeOp('CirkdRowsKl', [], [x, x, x, numbers], 2);
      parentPort.postMessage(binding.tensorDataSync(out[1].id)[255]);`;
    const run = () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(source, { eval: true });
        let answer: unknown;
        worker.once('message', (message) => {
          answer = message;
        });
        worker.once('error', reject);
        worker.once('exit', () => resolve(answer));
      });
    assert.deepEqual(await Promise.all([run(), run()]), [0, 0]);
    assert.equal(await run(), 0);
  });

  it('propagate NaN', () => {
    scope(() => {
      const broken = readFloat32(unit(6, 4, 1)).slice();
      broken[9] = Number.NaN;
      const [student, teacher] = [float32(broken, [6, 4]), unit(6, 4, 2)];
      const tiling = { lossMemoryMiB: 1 };
      const pairs = pairwiseKl({
        student_PC: student,
        teacher_PD: teacher,
        images: 2,
        ...common,
        tiling,
      });
      assert.ok(Number.isNaN(pairs.loss), `${pairs.loss}`);
      const rows = { teacher_PD: teacher, keys_MD: teacher, ...common, tiling };
      const { loss, gradient_PD } = rowsKl({ student_PD: student, ...rows });
      assert.ok(Number.isNaN(loss), `${loss}`);
      const gradient = readFloat32(gradient_PD);
      const bad = [...gradient.keys()].filter((at) => Number.isNaN(gradient[at]!));
      assert.deepEqual(bad, [8, 9, 10, 11], 'other rows than the third');
    });
  });

  it('refuse inputs that do not fit', () => {
    scope(() => {
      const [a, b, c] = [unit(6, 4, 1), unit(6, 5, 2), unit(7, 4, 3)];
      const { similarityKl } = nativeKernels;
      const options = { ...common, budgetMiB: 1, products: 'fp32' as const };
      assert.throws(
        () => similarityKl!.rows(a, b, c, options),
        /teacher: another shape than student/,
      );
      assert.throws(() => similarityKl!.rows(a, a, b, options), /keys: not of the rows' channels/);
      const pairs = { ...options, images: 2, side: null };
      assert.throws(() => similarityKl!.pairs(a, c, pairs), /teacher: not as many rows/);
      assert.throws(
        () => similarityKl!.pairs(a, b, { ...pairs, images: 4 }),
        /images: don't divide/,
      );
    });
  });
});

describe('the tiles', () => {
  it('contain every pair of rows once, those on the diagonal twice', () => {
    for (const [images, rows, side, tileRows] of [
      [1, 1, 1, 1],
      [2, 5, 2, 2],
      [3, 7, 7, 3],
      [2, 6, 4, 1],
    ] as const) {
      const total = images * rows;
      const blocks = rowBlocks(images, rows, side);
      const seen = new Int32Array(total * total);
      for (const [index] of blocks.entries()) {
        for (const tile of tilesOfBlock(blocks, index, tileRows)) {
          assert.ok(
            tile.rows.count <= tileRows && tile.columns.count <= side,
            'a tile is too large',
          );
          for (let r = 0; r < tile.rows.count; r++) {
            for (let s = 0; s < tile.columns.count; s++) {
              const [row, column] = [tile.rows.begin + r, tile.columns.begin + s];
              assert.equal(Math.floor(row / rows), tile.rows.image);
              assert.equal(Math.floor(column / rows), tile.columns.image);
              seen[row * total + column]! += 1;
              if (!tile.isDiagonal) seen[column * total + row]! += 1;
            }
          }
        }
      }
      assert.ok(
        seen.every((count) => count === 1),
        `${images} images of ${rows} rows, side ${side}, tiles of ${tileRows}: ${seen}`,
      );
    }
  });

  it('keep to the budget and to the override, and are never empty', () => {
    assert.equal(tileRowCount(100, 1 << 22, { lossMemoryMiB: 1 }), 1);
    assert.equal(tileRowCount(100, 1024, { lossMemoryMiB: 1, tileRows: 7 }), 7);
    assert.equal(tileRowCount(5, 1024, { lossMemoryMiB: 1, tileRows: 7 }), 5);
    // Half of 1 MiB for 7 matrices of 4 KiB rows.
    assert.equal(tileRowCount(1000, 1024, { lossMemoryMiB: 1 }), 18);
    assert.equal(blockSide(100_000, { lossMemoryMiB: 2 }), 193);
    assert.equal(blockSide(100, { lossMemoryMiB: 2 }), 100);
    assert.equal(blockSide(100_000, { lossMemoryMiB: 2, tileRows: 1 }), 100_000);
    // 4 MiB less 7 matrices of 256 KiB, in such matrices.
    assert.equal(keptMatrices(65_536, { lossMemoryMiB: 4 }), 9);
    assert.equal(keptMatrices(65_536, { lossMemoryMiB: 1 }), 0);
  });
});

/** One row, seven rows, all; tiles of 90 x 90 without and with room for some of them; all kept. */
const TILINGS: readonly Tiling[] = [
  { lossMemoryMiB: 64, tileRows: 1 },
  { lossMemoryMiB: 64, tileRows: 7 },
  { lossMemoryMiB: 64, tileRows: 10_000 },
  { lossMemoryMiB: 0.25 },
  { lossMemoryMiB: 1 },
  { lossMemoryMiB: 64 },
];

describe('pairwiseKl', () => {
  const [images, rowsPerImage, temperature] = [3, 150, 0.1];
  const total = images * rowsPerImage;
  const scale = 1 / (images * total);

  it('equals softmax and cross entropy of whole matrices, in tiles of any size', () => {
    scope(() => {
      const [student_PC, teacher_PD] = [unit(total, 6, 21), unit(total, 10, 22)];
      const whole = softmaxKl({
        studentRows_PC: student_PC,
        teacherRows_PD: teacher_PD,
        studentKeys_QC: student_PC,
        teacherKeys_QD: teacher_PD,
        groups: images,
        temperature,
        scale,
        keyGradient: true,
        tiling: { lossMemoryMiB: 64 },
      });
      const wanted_PC = ops.add(whole.rowsGradient_PC, whole.keysGradient_QC!);
      for (const tiling of TILINGS) {
        const got = pairwiseKl({ student_PC, teacher_PD, images, temperature, scale, tiling });
        const off = Math.abs(got.loss / whole.loss - 1);
        assert.ok(off < 2e-6, `${JSON.stringify(tiling)}: loss ${got.loss}, ${whole.loss}`);
        assertClose(got.gradient_PC, wanted_PC, 1e-5, JSON.stringify(tiling));
      }
    });
  });

  it('is the same to the last bit whether similarities are kept or recomputed', () => {
    scope(() => {
      const [student_PC, teacher_PD] = [unit(3 * 1200, 6, 23), unit(3 * 1200, 10, 24)];
      // Both have room for tiles of 1200 rows; the first keeps 7 of 12 of them, the second all.
      const runs = [77, 4096].map((lossMemoryMiB) =>
        pairwiseKl({
          ...{ student_PC, teacher_PD, images: 3, temperature, scale },
          tiling: { lossMemoryMiB },
        }),
      );
      assert.equal(runs[0]!.loss, runs[1]!.loss);
      assert.deepEqual(readFloat32(runs[0]!.gradient_PC), readFloat32(runs[1]!.gradient_PC));
    });
  });

  it('leaves neither tensors nor memory behind, over 500 steps', () => {
    scope(() => {
      const [student_PC, teacher_PD] = [unit(2 * 200, 16, 25), unit(2 * 200, 32, 26)];
      const keys_MD = unit(100, 32, 27);
      const tiling = { lossMemoryMiB: 1 };
      const step = () =>
        scope(() => {
          pairwiseKl({ student_PC, teacher_PD, images: 2, temperature, scale, tiling });
          rowsKl({ student_PD: teacher_PD, teacher_PD, keys_MD, temperature, scale, tiling });
        });
      for (let i = 0; i < 100; i++) step();
      const [tensors, bytes] = [numTensors(), process.memoryUsage.rss()];
      for (let i = 0; i < 500; i++) step();
      assert.equal(numTensors(), tensors);
      const grown = (process.memoryUsage.rss() - bytes) / 2 ** 20;
      // One leaked matrix of 400 x 400 per step would add up to 300 MiB.
      assert.ok(grown < 64, `${grown} MiB more after 500 steps`);
    });
  });

  it('is right at its smallest temperature, and with images of one row', () => {
    scope(() => {
      for (const [rows, temperature, images] of [
        [30, SMALLEST_TEMPERATURE, 1],
        [5, 0.1, 5],
      ] as const) {
        const [student_PC, teacher_PD] = [unit(rows, 4, 34), unit(rows, 4, 35)];
        const tiling = { lossMemoryMiB: 1 };
        const got = pairwiseKl({ student_PC, teacher_PD, images, temperature, scale, tiling });
        const whole = softmaxKl({
          studentRows_PC: student_PC,
          teacherRows_PD: teacher_PD,
          studentKeys_QC: student_PC,
          teacherKeys_QD: teacher_PD,
          keyGradient: true,
          ...{ groups: images, temperature, scale, tiling },
        });
        const off = Math.abs(got.loss - whole.loss);
        assert.ok(off < 2e-6 * (1 + whole.loss), `loss ${got.loss}, wanted ${whole.loss}`);
        if (images === rows) continue; // Nothing to tell apart: the gradient is 0.
        const wanted_PC = ops.add(whole.rowsGradient_PC, whole.keysGradient_QC!);
        assertClose(got.gradient_PC, wanted_PC, 2e-5, `temperature ${temperature}`);
      }
    });
  });

  it('frees its tensors when it fails', () => {
    scope(() => {
      const student_PC = unit(20, 4, 28);
      const teacher_PD = unit(19, 4, 29);
      const before = numTensors();
      assert.throws(() =>
        pairwiseKl({
          ...{ student_PC, teacher_PD, images: 2, temperature, scale },
          tiling: { lossMemoryMiB: 1, tileRows: 4 },
        }),
      );
      assert.equal(numTensors(), before);
    });
  });
});

describe('rowsKl', () => {
  it('equals softmax and cross entropy, in tiles of any size', () => {
    scope(() => {
      const [student_PD, teacher_PD, keys_MD] = [unit(90, 5, 31), unit(90, 5, 32), unit(70, 5, 33)];
      const common = { temperature: 0.1, scale: 1 / 90 };
      const whole = softmaxKl({
        studentRows_PC: student_PD,
        teacherRows_PD: teacher_PD,
        studentKeys_QC: keys_MD,
        teacherKeys_QD: keys_MD,
        groups: 1,
        keyGradient: false,
        ...common,
        tiling: { lossMemoryMiB: 64 },
      });
      for (const tiling of TILINGS) {
        const got = rowsKl({ student_PD, teacher_PD, keys_MD, ...common, tiling });
        const off = Math.abs(got.loss / whole.loss - 1);
        assert.ok(off < 2e-6, `${JSON.stringify(tiling)}: loss ${got.loss}, ${whole.loss}`);
        assertClose(got.gradient_PD, whole.rowsGradient_PC, 1e-5, JSON.stringify(tiling));
      }
    });
  });
});

describe('Accumulator', () => {
  it('adds in place and does not touch its first part', () => {
    const before = numTensors();
    scope(() => {
      const first = float32(Float32Array.of(1, 2), [2]);
      const sum = new Accumulator(first);
      sum.add(float32(Float32Array.of(10, 20), [2]));
      sum.add(first);
      assert.deepEqual([...readFloat32(sum.take())], [12, 24]);
      assert.deepEqual([...readFloat32(first)], [1, 2]);
    });
    assert.equal(numTensors(), before);
  });

  it("leaves nothing in TensorFlow's caches", () => {
    const part = float32(new Float32Array(4), [4]);
    const make = (count: number) => {
      for (let i = 0; i < count; i++) new Accumulator(part).dispose();
    };
    make(2000);
    const before = process.memoryUsage.rss();
    make(10_000);
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
    assert.ok(grown < 12, `${grown} MiB more after 10 000 accumulators`);
    part.dispose();
  });
});
