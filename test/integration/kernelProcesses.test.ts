/** What a process decides once of the addon's kernels: the level of vector instructions, and which table. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ERRORS = fileURLToPath(new URL('../support/numerics/convolutionErrors.ts', import.meta.url));
const TRANSFORMER = fileURLToPath(
  new URL('../support/numerics/transformerErrors.ts', import.meta.url),
);
const WINOGRAD = fileURLToPath(new URL('../support/numerics/winogradErrors.ts', import.meta.url));
const CHOICE = fileURLToPath(new URL('../support/numerics/kernelChoice.ts', import.meta.url));

/** Of convolutions in bfloat16, with the processor's instruction where it has one and with float32's. */
const bits = new Set<string>();

for (const level of ['wide', 'medium', 'narrow']) {
  test(`convolutions with ${level} vectors (or the widest there are) equal plain loops, those of a batch its images', and bfloat16 the other levels`, (t) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', ERRORS], {
      encoding: 'utf8',
      env: { ...process.env, CIRKD_VECTOR_LEVEL: level },
    });
    assert.equal(status, 0, stderr);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { bfloat16, products } = lines.pop();
    t.diagnostic(`bfloat16 products: ${products}`);
    if (level !== 'wide') assert.equal(products, 'emulated');
    bits.add(bfloat16);
    assert.deepEqual([...bits], [bfloat16]);
    assert.equal(lines.length, 15);
    for (const { shape, y, dx, dw } of lines) {
      const errors = JSON.stringify({ shape, y, dx, dw });
      for (const error of [y, dx, dw]) assert.ok(typeof error === 'number' && error < 1e-5, errors);
    }
  });
}

interface Distance {
  readonly largest: number;
  readonly rootMeanSquare: number;
}
const VALUES = ['y', 'biased', 'dx', 'dw'] as const;
type WinogradLine = { readonly shape: { readonly outliers?: number } } & Readonly<
  Record<(typeof VALUES)[number], Distance>
>;

/** @param winograd CIRKD_WINOGRAD */
function winogradErrors(level: string, winograd: string): WinogradLine[] {
  const env = { ...process.env, CIRKD_VECTOR_LEVEL: level, CIRKD_WINOGRAD: winograd };
  const args = ['--import', 'tsx', WINOGRAD];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Root mean squares beside those of the sums of products; a few values of one product each may be exact there. */
const BOUNDS = { 2: 4, 4: 8 } as const;
/** A value that is far larger than the rest rounds all its tile's outputs, not only those that it is a term of. */
const OUTLIER_BOUNDS = { 2: 8, 4: 24 } as const;

for (const level of ['wide', 'medium', 'narrow']) {
  test(`Winograd's algorithm with ${level} vectors rounds a few times as coarsely as sums of products`, () => {
    const direct = winogradErrors(level, 'off');
    assert.equal(direct.length, 14);
    for (const tile of [2, 4] as const) {
      const lines = winogradErrors(level, String(tile));
      assert.equal(lines.length, direct.length);
      let others = 0;
      for (const [index, line] of lines.entries()) {
        const times = (line.shape.outliers === undefined ? BOUNDS : OUTLIER_BOUNDS)[tile];
        for (const value of VALUES) {
          const [got, beside] = [line[value], direct[index]![value]];
          const what = `${tile}, ${value} of ${JSON.stringify(line.shape)}: ${JSON.stringify([got, beside])}`;
          assert.ok(got.largest < 5e-6, what);
          assert.ok(got.rootMeanSquare < times * beside.rootMeanSquare + 1e-7, what);
          if (got.rootMeanSquare !== beside.rootMeanSquare) others += 1;
        }
      }
      // The switch works: these aren't the same sums.
      assert.ok(others > lines.length, `${others} of ${lines.length} shapes`);
    }
  });
}

for (const level of ['wide', 'medium', 'narrow']) {
  test(`transformers' and a step's kernels with ${level} vectors (or the widest there are) equal TensorFlow's ops`, () => {
    const args = ['--import', 'tsx', TRANSFORMER];
    const env = { ...process.env, CIRKD_VECTOR_LEVEL: level };
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    assert.equal(status, 0, stderr);
    const distances: { name: string; worst: number | null }[] = JSON.parse(stdout);
    assert.equal(distances.length, 12 + 19);
    for (const { name, worst } of distances) {
      assert.ok(worst !== null && worst < 1e-5, `${name}: ${worst}`);
    }
  });
}

for (const [device, name] of [
  ['cpu', 'native'],
  ['gpu', 'composed'],
]) {
  test(`on a ${device} the ${name} kernels are chosen, once, when TensorFlow is first used`, () => {
    const args = ['--import', 'tsx', CHOICE, device!];
    const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { openedByImport: false, name, stays: true });
  });
}
