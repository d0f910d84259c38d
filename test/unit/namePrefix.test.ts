/** Prefixes that wrappers put before the names of a state dict. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type NamesOf,
  prefixNote,
  underPrefix,
  withoutPrefix,
} from '../../src/models/foreign/namePrefix.js';
import { isSegformer } from '../../src/models/segformer.js';
import { ZOO } from '../../src/models/zoo.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { float32Tensor, type NamedTensors } from '../../src/wire/safetensors.js';
import { networkEntries } from '../support/modelFiles/networkEntries.js';

const ONE = float32Tensor(new Float32Array(1), [1]);
const named = (...names: string[]): NamedTensors => new Map(names.map((name) => [name, ONE]));

/** The prefix, after checking that it and nothing else was removed. */
function taken(namesOf: NamesOf, ...names: string[]): string {
  const { tensors, prefix, leftOut } = withoutPrefix(named(...names), namesOf);
  assert.deepEqual(
    [...tensors.keys()].map((name) => prefix + name),
    names,
  );
  assert.deepEqual(leftOut, []);
  return prefix;
}

const NETWORKS = {
  official: ['pretrained.conv1.weight', 'head.aspp.b0.0.weight', 'auxlayer.block.0.weight'],
  torchvision: ['backbone.conv1.weight', 'classifier.0.weight', 'aux_classifier.0.weight'],
  mmsegmentation: ['backbone.stem.0.weight', 'decode_head.conv_seg.bias', 'auxiliary_head.x'],
};
const BACKBONES = {
  resnet: ['conv1.weight', 'bn1.running_mean', 'layer1.0.conv1.weight', 'fc.bias'],
  v1c: ['stem.0.weight', 'layer4.2.conv3.weight'],
  mobilenet: ['features.0.0.weight', 'features.17.conv.3.bias'],
  classifying: ['features.0.0.weight', 'classifier.1.weight'],
};
const WRAPPERS = [
  '',
  'module.',
  '_orig_mod.',
  'module._orig_mod.',
  'model.net.',
  'student.module.',
];

test('wrappers in any order and other common prefixes are removed from all names', () => {
  for (const [namesOf, dicts] of [
    ['network', NETWORKS],
    ['backbone', BACKBONES],
  ] as const) {
    for (const names of Object.values(dicts)) {
      for (const prefix of [...WRAPPERS, 'segmentor.', 'module.a.b_1._orig_mod.']) {
        const given = names.map((name) => prefix + name);
        assert.equal(taken(namesOf, ...given), prefix, given[0]);
      }
    }
  }
});

test('the names of every network of the zoo stay unchanged', () => {
  for (const { model, backbone } of ZOO) {
    const widthMultiplier = isSegformer(model) ? 1 : 0.125;
    const spec = { model, backbone, variant: 'v1', numClasses: 2, widthMultiplier } as const;
    const names = networkEntries(spec).map(([name]) => name);
    assert.equal(taken('network', ...names), '', backbone);
  }
});

test('a part of a network under its own name gives a backbone but not a network', () => {
  const part = ['pretrained.net.features.0.0.weight', 'pretrained.net.features.17.conv.7.bias'];
  assert.equal(taken('network', ...part), '');
  assert.equal(taken('backbone', ...part), 'pretrained.net.');
  assert.equal(taken('backbone', 'backbone.conv1.weight', 'backbone.bn1.bias'), 'backbone.');
  assert.equal(taken('backbone', ...NETWORKS.official), '');
});

test('from unknown names only wrappers are removed', () => {
  assert.equal(taken('network', 'module.encoder.a', 'module.encoder.b'), 'module.');
  assert.equal(taken('network', 'encoder.a', 'encoder.b'), '');
  assert.equal(taken('network', 'modules.a', 'modules.b'), '');
  assert.equal(taken('network', 'weight'), '');
  assert.equal(taken('network'), '');
});

test('mixed names with and without a prefix: an error names it and the remedy', () => {
  const mixed: readonly (readonly [string, string, ...string[]])[] = [
    ['module.', 'module.head.x', ...NETWORKS.official],
    ['module.', 'n_averaged', 'epoch', 'module.head.x'],
    ['student.', 'student.head.x', 'teacher.head.x'],
    ['model.', 'module.model.head.x', 'module.criterion.weight'],
  ];
  for (const [prefix, ...names] of mixed) {
    assert.throws(
      () => withoutPrefix(named(...names), 'network'),
      (error: Error) =>
        error instanceof CheckpointError &&
        error.message.includes(`with and without the prefix '${prefix}'`) &&
        error.message.includes('--strip-prefix'),
      names.join(),
    );
  }
});

test('a requested prefix: its names are kept, the others are reported', () => {
  const both = ['student', 'teacher'].flatMap((one) =>
    NETWORKS.official.map((name) => `${one}._orig_mod.${name}`),
  );
  for (const asked of ['student.', 'student']) {
    const bare = underPrefix(named(...both), asked, 'network');
    assert.deepEqual([...bare.tensors.keys()], NETWORKS.official);
    assert.equal(bare.prefix, 'student._orig_mod.');
    assert.equal(
      prefixNote(bare),
      "prefix removed: 'student._orig_mod.'; 3 names without it not used " +
        '(teacher._orig_mod.pretrained.conv1.weight, ' +
        'teacher._orig_mod.head.aspp.b0.0.weight, teacher._orig_mod.auxlayer.block.0.weight)',
    );
  }
  // The prefix after those of wrappers.
  const wrapped = NETWORKS.official.map((name) => `module._orig_mod.${name}`);
  for (const asked of ['pretrained.', 'module._orig_mod.pretrained']) {
    const part = underPrefix(named(...wrapped), asked, 'backbone');
    assert.deepEqual([...part.tensors.keys()], ['conv1.weight']);
    assert.deepEqual(
      [part.prefix, part.leftOut],
      ['module._orig_mod.pretrained.', wrapped.slice(1)],
    );
  }
  assert.throws(() => underPrefix(named(...wrapped), 'ema', 'backbone'), /begins with 'ema\.'/);
  assert.throws(() => underPrefix(named(...both), 'stud', 'network'), {
    name: 'CheckpointError',
    message: /^weights: no name begins with 'stud\.', they are student\._orig_mod\.pretrained/,
  });
  assert.equal(prefixNote(withoutPrefix(named('head.x'), 'network')), null);
});

test("AveragedModel's counter beside the names is skipped and reported", () => {
  const averaged = named('n_averaged', ...NETWORKS.official.map((name) => `module.${name}`));
  const bare = withoutPrefix(averaged, 'network');
  assert.deepEqual([...bare.tensors.keys()], NETWORKS.official);
  const note = "prefix removed: 'module.'; 1 name without it not used (n_averaged)";
  assert.equal(prefixNote(bare), note);
  const part = underPrefix(averaged, 'pretrained', 'backbone');
  assert.deepEqual([...part.tensors.keys()], ['conv1.weight']);
  assert.equal(part.prefix, 'module.pretrained.');
  assert.equal(taken('network', 'n_averaged'), '');
});
