// @own-process: measures the process' memory
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { InferenceImage } from '../../src/contract/inference.js';
import { type ModelDescription, writeModelFile } from '../../src/models/files/modelFile.js';
import { WeightsFile } from '../../src/models/files/storedWeights.js';
import { initialWeights } from '../../src/models/initialise.js';
import { type EntryRole, importShape, importTensor } from '../../src/models/layout.js';
import { namedFloats } from '../../src/models/namedValues.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import {
  DTYPE_BYTES,
  elementCount,
  formatSafetensors,
  type NamedTensor,
} from '../../src/wire/safetensors.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-weights-'));
after(() => rmSync(folder, { recursive: true }));

const DESCRIPTION: ModelDescription = {
  spec: {
    model: 'psp_mobile',
    backbone: 'mobilenetv2',
    variant: 'v2',
    numClasses: 3,
    widthMultiplier: 0.25,
  },
  normalisation: { pixelMean: [104, 116.5, 122.5], pixelStd: [57, 58, 59], channelOrder: 'bgr' },
  classNames: ['road', 'car', 'sky'],
};

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(folder, `${name}.safetensors`);
  writeFileSync(path, bytes);
  return path;
}

/** Every pattern of 16 bits occurs; the numbers of wider types are mixed from them. */
function patterns(dtype: 'F32' | 'F16' | 'BF16' | 'F64', shape: readonly number[]): NamedTensor {
  const count = elementCount(shape);
  const data = new Uint8Array(count * DTYPE_BYTES[dtype]);
  if (dtype === 'F64') {
    new Float64Array(data.buffer).forEach((_, i, all) => {
      all[i] = Math.sin(i) * 2 ** ((i % 200) - 100);
    });
  } else {
    new Uint16Array(data.buffer).forEach((_, i, all) => {
      all[i] = dtype === 'F32' ? (i * 40503) & 0xffff : i;
    });
  }
  return { dtype, shape, data };
}

test("weights come from a file with the values and in the layout of memory's", () => {
  const cases: [EntryRole, number[]][] = [
    ['convolution', [70, 13, 9, 9]],
    ['depthwise', [7283, 1, 3, 3]],
    ['linear', [257, 256]],
    ['classifier', [16, 4096, 1, 1]],
    ['norm_scale', [65536]],
  ];
  const before = numTensors();
  for (const dtype of ['F32', 'F16', 'BF16', 'F64'] as const) {
    const tensors = new Map(cases.map(([role, shape]) => [role as string, patterns(dtype, shape)]));
    // An odd length of the header's text must not matter.
    const file = new WeightsFile(fileOf(dtype, formatSafetensors(tensors, { note: 'x' })));
    for (const [role, shape] of cases) {
      scope(() => {
        const stored = file.read(role, role);
        const floats = namedFloats(role, tensors.get(role)!);
        assert.deepEqual(stored.shape, importShape(role, shape));
        const bits = (values: Float32Array) =>
          Buffer.from(values.buffer, values.byteOffset, values.byteLength);
        const wanted = readFloat32(importTensor(role, floats.slice(), shape));
        assert.ok(bits(readFloat32(stored)).equals(bits(wanted)), `${role} of ${dtype} differs`);
        const pieces = Buffer.concat([...file.float32Pieces(role)].map((one) => Buffer.from(one)));
        assert.ok(
          pieces.equals(Buffer.from(floats.buffer)),
          `pieces of ${role} of ${dtype} differ`,
        );
      });
    }
    file.close();
  }
  assert.equal(numTensors(), before);
});

test('opening a teacher needs hardly any memory beside its weights', () => {
  const spec = { ...DESCRIPTION.spec, widthMultiplier: 1 };
  const made = SegmentationNetwork.create(spec, (_, shape) =>
    new Float32Array(elementCount(shape)).fill(0.01),
  );
  const bytes = writeModelFile({ ...DESCRIPTION, spec }, made.stateDict(), 'F16');
  made.dispose();
  const path = fileOf('wide', bytes);
  const before = process.memoryUsage().arrayBuffers;
  TeacherNetwork.open(path).dispose();
  // Garbage that wasn't collected yet counts, too.
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(bytes.length > 5 * 2 ** 20, `a file of ${bytes.length} bytes`);
  assert.ok(grown < 2 * 2 ** 20, `${grown} bytes of buffers for a file of ${bytes.length}`);
});

test('a teacher opened from a file is the one loaded from its bytes', () => {
  const made = SegmentationNetwork.create(DESCRIPTION.spec, initialWeights(1));
  const dict = made.stateDict();
  made.dispose();
  const image: InferenceImage = {
    ...{ height: 40, width: 56 },
    rgb: Uint8Array.from({ length: 40 * 56 * 3 }, (_, i) => (i * 37) & 255),
  };
  const ask = [{ output: 'logits', encoding: 'fp32' }] as const;
  for (const dtype of ['F32', 'F16'] as const) {
    const bytes = writeModelFile(DESCRIPTION, dict, dtype);
    const path = fileOf(`model-${dtype}`, bytes);
    const loaded = TeacherNetwork.load(bytes);
    const opened = TeacherNetwork.open(path);
    assert.deepEqual(opened.info, loaded.info);
    assert.deepEqual(opened.infer([image], ask), loaded.infer([image], ask));
    opened.dispose();
    loaded.dispose();
  }
});

test('files that are cut, of another network or of other types are refused, and nothing stays open', () => {
  const made = SegmentationNetwork.create(DESCRIPTION.spec, initialWeights(1));
  const dict = made.stateDict();
  made.dispose();
  const before = numTensors();
  const refused = (path: string, message: RegExp) =>
    assert.throws(
      () => TeacherNetwork.open(path),
      (error) => error instanceof CheckpointError && message.test(error.message),
    );
  const changed = (name: string, tensor: NamedTensor) =>
    writeModelFile(DESCRIPTION, new Map([...dict, [name, tensor]]));
  const cut = fileOf('cut', writeModelFile(DESCRIPTION, dict));
  truncateSync(cut, 100_000);
  refused(cut, /model file: .* wants \d+ bytes, data_offsets/);
  const bias = 'head.classifier.bias';
  const integers = { dtype: 'I32', shape: [3], data: new Uint8Array(12) } as const;
  refused(
    fileOf('integers', changed(bias, integers)),
    /head\.classifier\.bias: dtype I32 given, wanted floats/,
  );
  const long = { dtype: 'F32', shape: [4], data: new Uint8Array(16) } as const;
  refused(
    fileOf('long', changed(bias, long)),
    /wrong shape: head\.classifier\.bias \[4\], wanted \[3\]/,
  );
  refused(fileOf('more', changed('other.weight', long)), /unexpected: other\.weight/);
  assert.throws(() => TeacherNetwork.open(join(folder, 'none')), /ENOENT.*none/);
  assert.equal(numTensors(), before);

  // Cut after the header was read, as by someone who overwrites it.
  const path = fileOf('overwritten', writeModelFile(DESCRIPTION, dict));
  const file = new WeightsFile(path);
  truncateSync(path, 100_000);
  const last = [...file.forms.keys()].at(-1)!;
  assert.throws(() => file.read(last, 'bias'), /ends before byte/);
  assert.throws(() => [...file.float32Pieces(last)], /ends before byte/);
  file.close();
});

test('a file that is replaced while it is read stays itself; one that is written to is refused', () => {
  const values = (value: number) => {
    const data = new Uint8Array(Float32Array.of(value, value).buffer);
    return formatSafetensors(new Map([['bias', { dtype: 'F32', shape: [2], data }]]));
  };
  const path = fileOf('replaced', values(1));
  const file = new WeightsFile(path);
  renameSync(fileOf('new', values(2)), path);
  assert.deepEqual([...scope(() => readFloat32(file.read('bias', 'bias')))], [1, 1]);
  file.requireUnchanged();
  file.close();
  const rewritten = new WeightsFile(path);
  writeFileSync(path, values(3));
  utimesSync(path, 1, 1);
  assert.throws(
    () => rewritten.requireUnchanged(),
    (error) => error instanceof CheckpointError && /changed while it was read/.test(error.message),
  );
  rewritten.close();
});
