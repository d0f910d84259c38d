/** `cirkd import` and `cirkd export`, called in this process, with files of a small network. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../services/cli/command.js';
import { command as exportCommand } from '../../services/cli/commands/export.js';
import { command } from '../../services/cli/commands/import.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { namedFloats } from '../../src/models/namedValues.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { encodeHalf } from '../../src/wire/half.js';
import {
  float32Tensor,
  formatSafetensors,
  type NamedTensor,
  type NamedTensors,
} from '../../src/wire/safetensors.js';
import { readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { floatsOf, importFault, importOutput } from '../support/modelFiles/importRuns.js';
import { writeTrainerFile } from '../support/modelFiles/trainerFile.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-import-'));
after(() => rmSync(folder, { recursive: true }));

const MODEL = join(folder, 'model.safetensors');
writeUntrainedModel(MODEL, 0.125);
const { description, tensors } = readModelFile(readFileSync(MODEL));

const DESCRIBED = [
  ...['--model', 'deeplab_mobile', '--backbone', 'mobilenetv2', '--width', '0.125'],
  ...['--classes', description.classNames.join(), '--channel-order', 'bgr'],
  ...['--pixel-mean', '104.5,116,122', '--pixel-std', '1,2,3'],
];

const at = (name: string) => join(folder, name);

function write(name: string, content: NamedTensors, metadata: Record<string, string> = {}): string {
  writeFileSync(at(name), formatSafetensors(content, metadata));
  return at(name);
}

const isStatistic = (name: string) => /\.running_(mean|var)$/.test(name);

test('fp16 halves the weights, rounds each to the nearest half, and is stable', async () => {
  const out = at('deep/half.safetensors');
  assert.equal(await command.run([MODEL, '--out', out, '--precision', 'fp16']), 0);
  const made = readModelFile(readFileSync(out));
  assert.deepEqual(made.description, description);
  assert.deepEqual([...made.tensors.keys()], [...tensors.keys()]);
  for (const [name, { dtype, data }] of tensors) {
    const kept = dtype === 'I64' || isStatistic(name);
    const there = made.tensors.get(name)!;
    assert.equal(there.dtype, kept ? dtype : 'F16', name);
    assert.equal(there.data.length * (kept ? 1 : 2), data.length, name);
  }
  const halves = floatsOf(made.tensors);
  for (const [name, values] of floatsOf(tensors)) {
    for (const [i, value] of values.entries()) {
      // Half a unit in the last place: 11 bits of a normal half, steps of 2^-24 below.
      const bound = Math.max(Math.abs(value) * 2 ** -11, 2 ** -25);
      assert.ok(Math.abs(halves.get(name)![i]! - value) <= bound, `${name}[${i}]`);
    }
  }
  const again = at('full.safetensors');
  assert.equal(await command.run([out, '--out', again]), 0);
  const back = readModelFile(readFileSync(again));
  assert.deepEqual(floatsOf(back.tensors), halves);
  const dtypes = new Set([...back.tensors.values()].map(({ dtype }) => dtype));
  assert.deepEqual(dtypes, new Set(['F32', 'I64']));
});

test('fp32 from a model file gives the same file', async () => {
  const out = at('same.safetensors');
  assert.equal(await command.run([MODEL, '--out', out]), 0);
  assert.deepEqual(readFileSync(out), readFileSync(MODEL));
});

test('a plain state dict, wrapped by DataParallel, with the flags', async () => {
  const wrapped = new Map([...tensors].map(([name, tensor]) => [`module.${name}`, tensor]));
  const out = at('from-plain.safetensors');
  const plain = write('plain.safetensors', wrapped, { format: 'pt' });
  assert.equal(await command.run([plain, '--out', out, ...DESCRIBED]), 0);
  const made = readModelFile(readFileSync(out));
  assert.deepEqual(made.description, {
    spec: description.spec,
    normalisation: { pixelMean: [104.5, 116, 122], pixelStd: [1, 2, 3], channelOrder: 'bgr' },
    classNames: description.classNames,
  });
  assert.deepEqual(floatsOf(made.tensors), floatsOf(tensors));
});

test('a .pth file: everything is detected from the weights, or overridden', async () => {
  const wrapped = new Map([...tensors].map(([name, tensor]) => [`module.${name}`, tensor]));
  writeFileSync(at('weights.pth'), writeTorchCheckpoint(wrapped));
  const out = at('from-pth.safetensors');
  assert.equal(await command.run([at('weights.pth'), '--out', out]), 0);
  const made = readModelFile(readFileSync(out));
  assert.deepEqual(made.description, {
    spec: description.spec,
    normalisation: OFFICIAL_NORMALISATION,
    classNames: description.classNames.map((_, index) => `class ${index}`),
  });
  assert.deepEqual(floatsOf(made.tensors), floatsOf(tensors));
  const flags = ['--classes', 'synthetic', '--channel-order', 'rgb', '--pixel-std', '1,2,3'];
  assert.equal(await command.run([at('weights.pth'), '--out', out, ...flags]), 0);
  const named = readModelFile(readFileSync(out)).description;
  assert.deepEqual(named.classNames, description.classNames);
  assert.equal(named.normalisation.channelOrder, 'rgb');
  assert.deepEqual(named.normalisation.pixelStd, [1, 2, 3]);
  const camvid = await importFault(at('weights.pth'), '--out', out, '--classes', 'camvid');
  assert.match(camvid.message, /wrong shape: head\.block\.4\.weight \[12,16,1,1\], wanted \[11,/);
});

test('data besides the weights is skipped and named in one line', async (t) => {
  writeFileSync(at('trainer.pth'), writeTrainerFile(tensors));
  const out = at('from-trainer.safetensors');
  const shown = await importOutput(t, at('trainer.pth'), '--out', out);
  assert.match(shown, /not read: argparse\.Namespace \(1 object besides the weights\)\n/);
  assert.deepEqual(floatsOf(readModelFile(readFileSync(out)).tensors), floatsOf(tensors));
});

test('half precision and bfloat16 become floats', async () => {
  const narrow = (dtype: 'F16' | 'BF16') =>
    new Map(
      [...tensors].map(([name, tensor]) => {
        if (tensor.dtype !== 'F32') return [name, tensor] as const;
        const values = namedFloats(name, tensor);
        const bits =
          dtype === 'F16'
            ? encodeHalf(values)
            : Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16);
        return [name, { dtype, shape: tensor.shape, data: new Uint8Array(bits.buffer) }] as const;
      }),
    );
  for (const dtype of ['F16', 'BF16'] as const) {
    const given = narrow(dtype);
    writeFileSync(at('narrow.pth'), writeTorchCheckpoint(given));
    const out = at('widened.safetensors');
    assert.equal(await command.run([at('narrow.pth'), '--out', out]), 0);
    assert.deepEqual(floatsOf(readModelFile(readFileSync(out)).tensors), floatsOf(given));
  }
});

test('export and import again: the same weights under the same names', async () => {
  const out = at('deep/weights.pth');
  assert.equal(await exportCommand.run([MODEL, '--out', out]), 0);
  const read = readTorchCheckpoint(readFileSync(out));
  assert.deepEqual([...read.keys()], [...tensors.keys()]);
  for (const [name, { dtype, shape, data }] of tensors) {
    const tensor = read.get(name)!;
    assert.deepEqual([tensor.dtype, tensor.shape], [dtype, shape], name);
    assert.equal(Buffer.compare(tensor.data, data), 0, name);
  }
  const half = at('half-for-export.safetensors');
  assert.equal(await command.run([MODEL, '--out', half, '--precision', 'fp16']), 0);
  assert.equal(await exportCommand.run([half, '--out', out]), 0);
  const dtypes = [...readTorchCheckpoint(readFileSync(out)).values()].map(({ dtype }) => dtype);
  assert.deepEqual(new Set(dtypes), new Set(['F32', 'I64']));
  for (const argv of [[], [MODEL], [MODEL, '--out', at('x.bin')], [MODEL, MODEL, '--out', out]]) {
    await assert.rejects(exportCommand.run(argv), UsageError);
  }
  for (const file of [at('nowhere.safetensors'), write('no-model.safetensors', tensors)]) {
    await assert.rejects(exportCommand.run([file, '--out', out]), CheckpointError);
  }
});

test('flags override what a model file says', async () => {
  const names = description.classNames.map((_, k) => `c${k}`);
  const out = at('renamed.safetensors');
  assert.equal(await command.run([MODEL, '--out', out, '--classes', names.join()]), 0);
  const made = readModelFile(readFileSync(out)).description;
  assert.deepEqual(made, { ...description, classNames: names });
});

test('weights that do not match the network are listed; nothing is written', async () => {
  const [first, second] = [...tensors.keys()] as [string, string];
  const changed = new Map<string, NamedTensor>(tensors);
  changed.delete(first);
  changed.set('head.extra', float32Tensor(new Float32Array(2), [2]));
  changed.set(second, float32Tensor(new Float32Array(3), [3]));
  const file = write('changed.safetensors', changed);
  const out = at('never.safetensors');
  const { exitCode, message } = await importFault(file, '--out', out, ...DESCRIBED);
  assert.equal(exitCode, 5);
  assert.ok(
    message.startsWith(`${file}: weights: missing: ${first}; unexpected: head.extra; `),
    message,
  );
  assert.ok(
    message.includes(`wrong shape: ${second} [3], wanted [${tensors.get(second)!.shape}]`),
    message,
  );
  const odd = new Map(tensors).set('\u001b[2J', float32Tensor(new Float32Array(1), [1]));
  writeFileSync(at('odd.pth'), writeTorchCheckpoint(odd));
  const shown = (await importFault(at('odd.pth'), '--out', out)).message;
  assert.equal(shown, `${at('odd.pth')}: weights: unexpected: \ufffd[2J`);
  const wide = await importFault(MODEL, '--out', out, '--width', '0.25');
  assert.equal(wide.exitCode, 5);
  const shapes = wide.message.split('wrong shape: ')[1]!.split('], ').length;
  assert.ok(shapes > 100, wide.message);
  assert.equal(existsSync(out), false);
});

test('values that are not finite or too large for halves are refused', async () => {
  const [first] = [...tensors.keys()] as [string];
  const holding = (name: string, value: number) => {
    const values = namedFloats(first, tensors.get(first)!);
    values[0] = value;
    const changed = new Map(tensors).set(first, float32Tensor(values, tensors.get(first)!.shape));
    writeFileSync(at(name), writeModelFile(description, changed));
    return at(name);
  };
  const nan = await importFault(
    holding('nan.safetensors', Number.NaN),
    '--out',
    at('x.safetensors'),
  );
  assert.deepEqual([nan.exitCode, nan.message.includes(`${first}: holds NaN`)], [5, true]);
  const large = holding('large.safetensors', 70_000);
  const half = await importFault(large, '--out', at('x.safetensors'), '--precision', 'fp16');
  assert.equal(half.exitCode, 5);
  assert.match(half.message, /holds 70000, too large for fp16/);
  assert.equal(await command.run([large, '--out', at('x.safetensors')]), 0);
});

test('unusable files give exit code 5', async () => {
  const out = ['--out', at('never.safetensors')];
  const pth = new URL('../golden/data/checkpoints/', import.meta.url);
  const faults: readonly (readonly [string, RegExp])[] = [
    [
      'plain.pth',
      /plain\.pth: backbone: can't be detected, the weights are pretrained\.conv1\.weight,/,
    ],
    ['legacy.pth', /legacy\.pth: backbone: can't be detected, the weights are pretrained\.conv1/],
    ['malicious_legacy.pth', /pickle, byte 2: global "posix\.system" is refused/],
    ['malicious_system.pth', /pickle, byte 2: global "posix\.system" is refused/],
    ['truncated.pth', /zip archive: no end of the central directory/],
  ];
  for (const [name, wanted] of faults) {
    const { exitCode, message } = await importFault(new URL(name, pth).pathname, ...out);
    assert.equal(exitCode, 5, name);
    assert.match(message, wanted);
  }
  const keyed = await importFault(MODEL, ...out, '--key', 'state_dict');
  assert.match(keyed.message, /key 'state_dict' given, only PyTorch files have/);
  writeFileSync(at('cut.safetensors'), readFileSync(MODEL).subarray(0, -8));
  assert.match(
    (await importFault(at('cut.safetensors'), ...out)).message,
    /^\S*cut\.safetensors: /,
  );
  assert.equal((await importFault(at('cut.safetensors'), ...out)).exitCode, 5);
  assert.equal((await importFault(at('nowhere.safetensors'), ...out)).exitCode, 5);
  const both = new Map(tensors);
  both.set('module.head.x', float32Tensor(new Float32Array(1), [1]));
  both.set('head.x', float32Tensor(new Float32Array(1), [1]));
  const twice = await importFault(write('twice.safetensors', both), ...out, ...DESCRIBED);
  assert.match(twice.message, /with and without the prefix 'module\.'/);
  assert.equal(readdirSync(folder).includes('never.safetensors'), false);
});

test('wrong options give exit code 2 and are named', async () => {
  const plain = write('bare.safetensors', tensors);
  const out = ['--out', at('never.safetensors')];
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[MODEL], /^--out: none given, wanted a \.safetensors file/],
    [[MODEL, '--out', at('x.pth')], /^--out: .* wanted a name ending in \.safetensors/],
    [out, /0 files given/],
    [[MODEL, ...out, '--precision', 'int8'], /^--precision: int8 given/],
    [[MODEL, ...out, '--strip-prefix', ''], /^--strip-prefix: '' given/],
    [[MODEL, ...out, '--seed', '1'], /^--seed: given, wanted only with --backbone-weights/],
    [[plain, ...out, '--model', 'unet'], /^--model: 'unet' given/],
    [[plain, ...out, '--model', 'psp', '--backbone', 'vgg'], /^--backbone: 'vgg' given, psp wants/],
    [[plain, ...out, '--backbone', 'vgg'], /^--backbone: vgg given, wanted one of resnet18/],
    [[plain, ...out, '--variant', 'v3'], /^--variant: 'v3' given/],
    [[MODEL, ...out, '--model', 'unet'], /^--model: 'unet' given/],
    [[MODEL, ...out, '--width', 'wide'], /^--width: wide given/],
    [[MODEL, ...out, '--pixel-mean', '1,2'], /^--pixel-mean: 1,2 given, wanted three numbers/],
    [[MODEL, ...out, '--pixel-std', '1,0,1'], /^--pixel-std: 1,0,1 given, wanted numbers above 0/],
    [[MODEL, ...out, '--channel-order', 'gbr'], /^--channel-order: gbr given/],
    [[MODEL, ...out, '--classes', 'a,,b'], /^--classes: a,,b given/],
  ];
  for (const [argv, wanted] of cases) {
    await assert.rejects(command.run(argv), (error: Error) => {
      assert.ok(error instanceof UsageError, argv.join(' '));
      assert.match(error.message, wanted);
      return true;
    });
  }
});
