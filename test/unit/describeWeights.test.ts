/** What `cirkd import` and its --describe say of a file, called in this process. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { UsageError } from '../../services/cli/command.js';
import { command } from '../../services/cli/commands/import.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import {
  float32Tensor,
  formatSafetensors,
  type NamedTensor,
  type NamedTensors,
} from '../../src/wire/safetensors.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { readZip } from '../../src/wire/torch/zip/reader.js';
import { writeZip } from '../../src/wire/torch/zip/writer.js';
import { importFault, importOutput } from '../support/modelFiles/importRuns.js';
import { dict, madePickle, raw, text } from '../support/modelFiles/madePickle.js';
import { writeTrainerFile } from '../support/modelFiles/trainerFile.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-describe-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

const MMSEG: NetworkSpec = {
  ...{ model: 'mmseg_psp', backbone: 'resnet18_v1c', variant: 'v1' },
  ...{ numClasses: 2, widthMultiplier: 0.125 },
};

function stateOf(spec: NetworkSpec): Map<string, NamedTensor> {
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const state = network.stateDict();
  network.dispose();
  return state;
}

function prefixed(prefix: string, tensors: NamedTensors): Map<string, NamedTensor> {
  return new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]));
}

async function described(t: TestContext, name: string, bytes: Uint8Array, ...options: string[]) {
  writeFileSync(at(name), bytes);
  return importOutput(t, '--describe', at(name), ...options);
}

test('weights that fit can be imported; prefix and objects that are not read are named', async (t) => {
  const file = writeTrainerFile(prefixed('module.', stateOf(MMSEG)));
  for (const name of ['best.pth.tar', 'last.ckpt', 'pytorch_model.bin']) {
    const shown = await described(t, name, file);
    assert.match(shown, /^prefix removed: 'module\.'$/m);
    assert.match(shown, /^not read: argparse\.Namespace \(1 object/m);
    assert.match(shown, /^network: mmseg_psp-resnet18_v1c\/v1 x0\.125 \(names and shapes\)$/m);
    assert.match(shown, /^classes: 2, class 0, class 1 \(counted from the weights;/m);
    assert.match(shown, /^pixels: rgb minus 123\.675, .*\(not in the file: the default of/m);
    assert.match(shown, /^align_corners: false \(not in the file: /m);
    assert.match(shown, new RegExp(`^it can be imported: cirkd import ${at(name)} --out`, 'm'));
  }
});

test('weights that do not fit are listed as import lists them', async (t) => {
  const state = stateOf(MMSEG);
  state.delete('backbone.layer1.0.bn1.bias');
  state.set('backbone.extra', float32Tensor(new Float32Array(1), [1]));
  state.set('decode_head.bottleneck.bn.weight', float32Tensor(new Float32Array(3), [3]));
  const shown = await described(t, 'unfit.safetensors', formatSafetensors(state, {}));
  const [, faults] = shown.split('\ndoes not fit\n');
  assert.deepEqual(faults?.trimEnd().split('\n').sort(), [
    '  missing: backbone.layer1.0.bn1.bias',
    '  unexpected: backbone.extra',
    '  wrong shape: decode_head.bottleneck.bn.weight [3], wanted [16]',
  ]);
  assert.doesNotMatch(shown, /can be imported/);
});

test("settings from the trainer's config are distinguished from assumed ones", async (t) => {
  const config = 'mean=[1, 2, 3], std=[4, 5, 6], to_rgb=False\nalign_corners=True';
  const shown = await described(t, 'meta.pth', withMeta(stateOf(MMSEG), config, ['road', 'car']));
  assert.match(shown, /^classes: 2, road, car \(names saved beside the weights\)$/m);
  assert.match(
    shown,
    /^pixels: bgr minus 1, 2, 3, divided by 4, 5, 6 \(the config saved beside the weights\)$/m,
  );
  assert.match(shown, /^align_corners: true \(the config saved beside the weights\)$/m);
});

test('--strip-prefix and --key choose the weights, and appear in the suggested command', async (t) => {
  const state = stateOf(MMSEG);
  const two = writeTorchCheckpoint(
    new Map([...prefixed('student.', state), ...prefixed('teacher.', state)]),
  );
  const shown = await described(t, 'two.pth', two, '--strip-prefix', 'teacher.');
  assert.match(shown, /^prefix removed: 'teacher\.'; \d+ names without it not used/m);
  assert.match(shown, /cirkd import \S+two\.pth --strip-prefix teacher\. --out/);
  const keyed = await described(t, 'keyed.pth', writeTrainerFile(state), '--key', 'state_dict');
  assert.match(keyed, /cirkd import \S+keyed\.pth --key state_dict --out/);
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['--describe', folder, '--key', 'a'], /^--key, --strip-prefix: are for files of weights/],
    [['--describe', at('two.pth'), '--strip-prefix', ''], /^--strip-prefix: '' given/],
    [['--describe', at('two.pth'), '--set', 'graph.classes=2'], /^--settings, --set: are for/],
    [['--describe', ''], /^--describe: '' given/],
  ];
  for (const [argv, wanted] of cases) {
    await assert.rejects(command.run(argv), (error: Error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, wanted);
      return true;
    });
  }
});

test('a bare backbone is recognised, also inside a wrapper', async (t) => {
  const bare = [...stateOf(MMSEG)].filter(([name]) => name.startsWith('backbone.'));
  const cut = new Map(bare.map(([name, tensor]) => [name.slice('backbone.'.length), tensor]));
  for (const prefix of ['', 'module.encoder.']) {
    const shown = await described(t, 'bare.pth', writeTorchCheckpoint(prefixed(prefix, cut)));
    assert.match(shown, /^network: none, the weights are of resnet18_v1c alone, without a head$/m);
    assert.match(shown, /cirkd import --backbone-weights \S+bare\.pth --model NAME/);
  }
});

test('a model file can be served', async (t) => {
  writeUntrainedModel(at('model.safetensors'), 0.125);
  const shown = await importOutput(t, '--describe', at('model.safetensors'));
  assert.match(shown, /^pixels: .* \(its description\)$/m);
  assert.match(shown, /^it can be served: cirkd teacher --checkpoint$/m);
});

test('import says what kind of file it was given instead', async () => {
  const out = ['--out', at('never.safetensors')];
  mkdirSync(at('graph'));
  const kinds: readonly (readonly [string, RegExp])[] = [
    ['empty.pth', /empty\.pth: an empty file, wanted one of weights$/m],
    ['graph.ONNX', /graph\.ONNX: an ONNX file, .*cirkd teacher --onnx/],
    ['notes.yaml', /notes\.yaml: neither a PyTorch file nor safetensors$/m],
    ['graph', /graph: a folder, wanted a file of weights$/m],
  ];
  writeFileSync(at('empty.pth'), '');
  writeFileSync(at('graph.ONNX'), 'x');
  writeFileSync(at('notes.yaml'), 'normalisation: unit');
  for (const [name, wanted] of kinds) {
    const { exitCode, message } = await importFault(at(name), ...out);
    assert.equal(exitCode, 5, name);
    assert.match(message, wanted);
  }
  writeFileSync(at('graph/saved_model.pb'), '');
  const saved = await importFault(at('graph'), ...out);
  assert.match(saved.message, /graph: a SavedModel's folder, .*cirkd teacher --saved-model/);
});

/** As mmengine saves it. */
function withMeta(state: NamedTensors, config: string, classes: readonly string[]): Uint8Array {
  const names = raw('(', ...classes.map(text), 't');
  const meta = dict(['cfg', text(config)], ['dataset_meta', dict(['classes', names])]);
  const saved = (pickle: Uint8Array) =>
    // Less PROTO and STOP.
    madePickle(dict(['meta', meta], ['state_dict', pickle.subarray(2, -1)]));
  const entries = [...readZip(writeTorchCheckpoint(state))];
  return writeZip(
    new Map(entries.map(([name, data]) => [name, name.endsWith('.pkl') ? saved(data) : data])),
  );
}
