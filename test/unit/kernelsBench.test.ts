/** The bench of the convolutions: what its page says of results. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KERNELS_PAGE } from '../../bench/kernels/page.js';
import type { Times } from '../../bench/kernels/protocol.js';
import type { KernelsResults, MeasuredLevel, ShapeResult } from '../../bench/kernels/results.js';
import {
  hasWinograd,
  type NetworkShape,
  operations,
  outputLength,
  passesOf,
} from '../../bench/kernels/shapes.js';

const shapeOf = (given: Partial<NetworkShape>): NetworkShape => ({
  ...{ images: 2, height: 32, width: 64, inputs: 100, outputs: 50, kernel: 3, layers: 1 },
  ...{ stride: 1, dilation: 1, padding: 1, depthwise: false, ofImage: false },
  ...given,
});
const all = (ms: number): Times => ({ forward: ms, inputGradient: ms, filterGradient: ms });

const STEM = shapeOf({ inputs: 3, kernel: 7, stride: 2, padding: 3, ofImage: true });
const BLOCK = shapeOf({ layers: 3, dilation: 4, padding: 4 });
const DEPTHWISE = shapeOf({ outputs: 100, depthwise: true, stride: 2 });

function resultsOf(shapes: readonly ShapeResult[]): KernelsResults {
  return {
    ...{ date: '2026-11-30T10:00:00Z', minutes: 3, threads: 1, engines: { torch: 'PyTorch 2' } },
    machine: { processor: 'a processor', memoryGiB: 8, node: '20' },
    ...{ peak: { wide: 100.4, medium: 99, narrow: 50 }, shapes },
  };
}

const resnet = (
  level: MeasuredLevel,
  shape: NetworkShape,
  sides: ShapeResult['sides'],
): ShapeResult => ({ level, network: 'resnet18', shape, sides });

const text = (shapes: readonly ShapeResult[]) =>
  KERNELS_PAGE.sections(resultsOf(shapes), '')['kernels']!;
const cellsOf = (page: string, containing: string) =>
  page
    .split('\n')
    .find((line) => line.includes(containing))!
    .split('|')
    .map((each) => each.trim())
    .slice(1, -1);

test('operations are counted for the positions of the output; a depthwise filter has one channel', () => {
  assert.equal(outputLength(32, STEM), 16);
  assert.equal(operations(STEM), 2 * (2 * 16 * 32) * 49 * 3 * 50);
  assert.equal(operations(BLOCK), 2 * (2 * 32 * 64) * 9 * 100 * 50);
  assert.equal(operations(DEPTHWISE), 2 * (2 * 16 * 32) * 9 * 100);
});

test("nothing needs the image's gradient, and Winograd's algorithm needs 3x3 taps without stride", () => {
  assert.deepEqual(passesOf(STEM), ['forward', 'filterGradient']);
  assert.deepEqual(passesOf(BLOCK), ['forward', 'inputGradient', 'filterGradient']);
  assert.deepEqual([STEM, BLOCK, DEPTHWISE].map(hasWinograd), [false, true, false]);
});

test('a cell has the rates of all sides, in bold where PyTorch is faster', () => {
  const times = { here: all(10), direct: all(20), torch: { ...all(15), filterGradient: 5 } };
  const page = text([
    resnet('wide', STEM, {
      here: { forward: 2, filterGradient: 3 },
      torch: { forward: 4, filterGradient: 2 },
    }),
    resnet('wide', BLOCK, times),
    resnet('wide', DEPTHWISE, { here: all(0.1), torch: all(0.3) }),
  ]);
  assert.match(page, /one thread, GFLOP\/s: AVX-512 100, AVX2 99, SSE 50\./);
  const of = (taps: string) => cellsOf(page, taps).slice(-3);
  // 15.1, 368.6 and 1.84 million operations.
  assert.deepEqual(of('7×7, stride 2'), ['8 / 4', '–', '**5 / 8**']);
  assert.deepEqual(of('3×3, dilation 4'), ['37 (18) / 25', '37 (18) / 25', '**37 (18) / 74**']);
  assert.deepEqual(of('3×3, stride 2, depthwise'), ['18 / 6', '18 / 6', '18 / 6']);
});

test('the table above counts each layer, and says how often PyTorch is faster', () => {
  const page = text([
    resnet('wide', STEM, {
      here: { forward: 10, filterGradient: 10 },
      torch: { forward: 10, filterGradient: 8 },
    }),
    resnet('wide', BLOCK, { here: all(10), direct: all(9), torch: all(30) }),
    resnet('medium', BLOCK, { here: all(10), direct: all(9), torch: all(20) }),
  ]);
  // (10 + 3 * 30) / (10 + 3 * 10), 90 / 30, (8 + 90) / 40
  assert.deepEqual(cellsOf(page, 'at most'), [
    ...['AVX-512', 'DeepLabV3-ResNet-18', '2.5', '3.0', '2.5', '1 of 5, at most 1.3 times'],
  ]);
  assert.deepEqual(cellsOf(page, '0 of 3').slice(0, 3), ['AVX2', 'DeepLabV3-ResNet-18', '2.0']);
  assert.match(page, /### DeepLabV3-ResNet-18, AVX-512\n/);
  assert.match(page, /### DeepLabV3-ResNet-18, AVX2\n/);
});
