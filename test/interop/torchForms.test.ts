/** Real PyTorch writes checkpoints of both forms, with what trainers put beside the weights. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensors, SafetensorsDtype } from '../../src/wire/safetensors.js';
import { type TorchCheckpoint, readTorchFile } from '../../src/wire/torch/torchCheckpoint.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('torchFormsPeer.py', import.meta.url));

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  ...{ float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', int64: 'I64' },
  ...{ int32: 'I32', int16: 'I16', int8: 'I8', uint8: 'U8', bool: 'BOOL' },
};

type Described = Record<string, [dtype: string, shape: number[], sha256: string]>;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-torch-forms-'));
after(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
let expected: Record<string, Described>;

function described(tensors: NamedTensors): unknown {
  return Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => {
      const sha256 = createHash('sha256').update(data).digest('hex');
      return [name, [dtype, [...shape], sha256]];
    }),
  );
}

function wanted(tensors: Described): unknown {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, [dtype, shape, sha256]]) => {
      return [name, [DTYPES[dtype.replace('torch.', '')], shape, sha256]];
    }),
  );
}

const read = (name: string): TorchCheckpoint => readTorchFile(readFileSync(at(name)));

test('both forms, protocols 1 to 5, every dtype, view and sharing: bit for bit', async () => {
  expected = await torchPeer<Record<string, Described>>(PEER, 'save', folder);
  assert.ok(Object.keys(expected).length >= 28, Object.keys(expected).join());
  for (const [name, tensors] of Object.entries(expected)) {
    const found = read(name).tensors;
    assert.deepEqual(described(found), wanted(tensors), name);
    assert.deepEqual([...found.keys()], Object.keys(tensors), name);
  }
});

test('what is beside the weights is told by name, whatever the form and protocol', () => {
  const files = Object.keys(expected).filter((name) => name.includes('-beside'));
  assert.equal(files.length, 10);
  const names = [
    ...['__main__.Colour', '__main__.Flags', '__main__.Meter', '__main__.Point'],
    ...['__main__.Outer.Inner', '__main__.Outer.method'],
    ...['argparse.Namespace', 'collections.Counter', 'datetime.datetime', 'functools.partial'],
    ...['numpy.float64', 'numpy.ndarray', 'torch.ComplexFloatStorage'],
    // The optimizer is a part of the scheduler.
    'torch.optim.lr_scheduler.CosineAnnealingLR',
  ];
  for (const file of files) {
    const { notRead } = read(file);
    for (const name of names) assert.ok(notRead.names.includes(name), `${file}: ${notRead.names}`);
    assert.ok(notRead.objects >= notRead.names.length && notRead.objects < 60, file);
  }
  const plain = Object.keys(expected).filter((name) =>
    /-(plain|state|shared|p\d)\.pth$/.test(name),
  );
  for (const file of plain) assert.deepEqual(read(file).notRead, { names: [], objects: 0 }, file);
});

test('what only Python can make is refused by name', () => {
  const refusals: Readonly<Record<string, RegExp>> = {
    module:
      /^the checkpoint: an object of "torch\.nn\.modules\.container\.Sequential", .*state_dict/,
    nested: /^"model": an object of "torch\.nn\.modules\.container\.Sequential", .*state_dict/,
    quantised: /^tensor "w": a "torch\._utils\._rebuild_qtensor", which is not read/,
    sparse: /^tensor "w": a "torch\._utils\._rebuild_sparse_tensor"/,
    subclass: /^tensor "w": a "__main__\.Masked"/,
    complex: /^tensor "w": a "torch\.ComplexFloatStorage"/,
    float8: /^tensor "w": a "torch\.float8_e4m3fn"/,
    negated: /^tensor "w": a "torch\.Tensor, conjugated or negated"/,
  };
  for (const form of ['zip', 'legacy']) {
    for (const [kind, message] of Object.entries(refusals)) {
      assert.throws(
        () => read(`${form}-refused-${kind}.pth`),
        (error: Error) => {
          assert.ok(error instanceof CheckpointError, `${kind}: ${error.stack}`);
          assert.match(error.message, message, `${form} ${kind}`);
          return true;
        },
      );
    }
  }
});

test('hostile files that Python wrote are refused and run nothing', async () => {
  const canary = at('canary');
  assert.deepEqual(await torchPeer(PEER, 'hostile', folder, canary), { taken: [], canary: false });
  const names = readdirSync(folder).filter((name) => name.startsWith('hostile-'));
  assert.equal(names.length, 6);
  for (const name of names) assert.throws(() => read(name), /"posix\.system" is refused/, name);
  assert.equal(existsSync(canary), false);
});
