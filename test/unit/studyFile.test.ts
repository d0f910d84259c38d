/** A study's file: what is refused by name, and what becomes of its variants; the studies of recipes/ and examples/. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { halfImage, halfLabels } from '../../bench/camvid/halfSize.js';
import { hasOwnTeachers, readPlan } from '../../services/study/plan.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-study-file-'));
after(() => rmSync(folder, { recursive: true }));

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const base = written(
  'student.yaml',
  `data:
  train: {kind: synthetic, samples: 8}
  val: {kind: synthetic, samples: 4, seed: 1}
run: {evaluateEverySteps: 5}
teacher: {addresses: ['10.0.0.1:50051']}
train: {steps: 10}
`,
);
const labels = written('labels.yaml', 'teacher: {addresses: []}\nloss: {auxWeight: 0.25}\n');

const GOOD = `
base: [${base}]
seeds: [0, 1]
baseline: labels
variants:
  labels: {files: [${labels}]}
  cirkd: {title: CIRKD, set: [loss.weights.memory_pixel=0.5]}
`;

const planOf = (text: string, overrides: string[] = []) =>
  readPlan(written('some.yaml', text), overrides);

function variantOf(text: string, name: string) {
  const plan = planOf(text);
  const variant = plan.variants.find((one) => one.name === name)!;
  return { ...variant, isOwn: hasOwnTeachers(variant, plan) };
}

test('a variant is base, the teachers, its files and its keys, one on top of the other', () => {
  const plan = planOf(GOOD);
  assert.equal(plan.name, 'some');
  assert.deepEqual(
    plan.variants.map(({ name, title, isTaught }) => [name, title, isTaught]),
    [
      ['labels', 'labels', false],
      ['cirkd', 'CIRKD', true],
    ],
  );
  const cirkd = variantOf(GOOD, 'cirkd');
  assert.equal(cirkd.config.loss.weights.memory_pixel, 0.5);
  assert.equal(cirkd.config.run.evaluateEverySteps, 5);
  assert.deepEqual(cirkd.config.teacher.addresses, ['10.0.0.1:50051']);
  assert.equal(cirkd.isOwn, false);
  assert.equal(variantOf(GOOD, 'labels').config.loss.auxWeight, 0.25);
  // What several runs at once can't share, and what each run decides.
  const { config } = variantOf(
    `${GOOD}set: [seed=7, metrics.port=1234, train.steps=20]\n`,
    'cirkd',
  );
  assert.deepEqual([config.seed, config.metrics.port, config.train.steps], [0, 0, 20]);
});

test('own teachers teach the variants that name no others', () => {
  const own = `${GOOD}  other: {set: ['teacher.addresses=["10.0.0.2:1"]']}\nteacher: {checkpoint: t.safetensors}\n`;
  assert.deepEqual(
    ['labels', 'cirkd', 'other'].map((name) => variantOf(own, name).isOwn),
    [false, true, false],
  );
  const fleet = `${GOOD}teacher: {addresses: ['dns:///fleet:50051']}\n`;
  assert.deepEqual(variantOf(fleet, 'cirkd').config.teacher.addresses, ['dns:///fleet:50051']);
  assert.equal(variantOf(fleet, 'labels').isTaught, false);
});

test("the validation set, its interval and its pictures are the study's where it says so", () => {
  const judged = `${GOOD}evaluate: {val: {kind: synthetic, samples: 9, seed: 5}, everySteps: 3, pictures: 2}\n`;
  const { data, run, evaluate } = variantOf(judged, 'labels').config;
  assert.deepEqual(
    [data.val.kind === 'synthetic' && data.val.samples, run.evaluateEverySteps, evaluate.pictures],
    [9, 3, 2],
  );
});

test('every fault is named with what came and what was wanted', () => {
  const faults: [string, RegExp][] = [
    [GOOD.replace('seeds:', 'seed:'), /line 3: seed: unknown key, did you mean seeds\?/],
    [GOOD.replace('[0, 1]', '[0, -1]'), /seeds\.1: got -1, wanted an integer from 0 to 4294967295/],
    [GOOD.replace('[0, 1]', '[3, 3]'), /seeds: got 3 twice/],
    [
      GOOD.replace('baseline: labels', 'baseline: label'),
      /baseline: got "label", wanted one of variants: labels, cirkd/,
    ],
    [
      GOOD.replace('title:', 'titel:'),
      /line 7: variants\.cirkd\.titel: unknown key, did you mean variants\.cirkd\.title\?/,
    ],
    [GOOD.replace('cirkd:', 'a/b:'), /variants\.a\/b: wanted a name of 1 to 64/],
    [
      GOOD.replace('[loss.weights.memory_pixel=0.5]', '5'),
      /variants\.cirkd\.set: got 5, wanted a list/,
    ],
    [
      `${GOOD}teacher: {checkpoint: a, addresses: ['b:1']}\n`,
      /teacher\.checkpoint: got both addresses and checkpoint/,
    ],
    [`${GOOD}parallel: 0\n`, /parallel: got 0, wanted an integer from 1 to 1024 or null/],
    [`${GOOD}evaluate: {val: 3}\n`, /evaluate\.val: got 3, wanted a section as data\.val/],
    [GOOD.replace(/variants:.*/s, 'variants: {}'), /variants: got none, wanted one or more/],
    [
      GOOD.replace(/variants:.*/s, 'variants: [labels]'),
      /variants: got \["labels"\], wanted a section of names, each with a section \{title, files, set\}/,
    ],
  ];
  for (const [text, wanted] of faults) {
    assert.throws(() => planOf(text), { name: 'ConfigError', message: wanted });
  }
});

test("a variant's own fault is named with the variant, its file and line", () => {
  const wrong = written('wrong.yaml', '\nloss: {auxWeigth: 1}\n');
  const faults: [string, RegExp][] = [
    [
      GOOD.replace(labels, wrong),
      /some\.yaml: variants\.labels: 1 fault\n {2}.*wrong\.yaml line 2: loss\.auxWeigth: unknown key, did you mean loss\.auxWeight\?/,
    ],
    [
      GOOD.replace('memory_pixel=0.5', 'memory_pixel=-1'),
      /variants\.cirkd: 1 fault\n {2}--set loss\.weights\.memory_pixel=-1: .*got -1, wanted a number >= 0/,
    ],
    [
      `${GOOD}evaluate: {val: {kind: synthetic}}\n`,
      /variants\.labels: .*\n.*data\.val\.samples: got nothing, wanted an integer/,
    ],
    [
      GOOD.replace('[loss', '[student.backbone=vgg, loss'),
      /variants\.cirkd: .*\n.*student\.backbone: got "vgg", student\.model deeplabv3 wants one of/,
    ],
    [
      `${GOOD}set: ['distributed={workers: ["a:1", "b:1"], index: 0}']\n`,
      /distributed\.workers: got workers, wanted none/,
    ],
  ];
  for (const [text, wanted] of faults) {
    assert.throws(() => planOf(text), { name: 'ConfigError', message: wanted });
  }
});

test('a file that is not there is named with its key', () => {
  const faults: [string, RegExp][] = [
    [GOOD.replace(base, '/no/base.yaml'), /^base: \/no\/base\.yaml given, wanted a file: ENOENT/],
    [GOOD.replace(labels, '/no/labels.yaml'), /^variants\.labels\.files: \/no\/labels\.yaml given/],
  ];
  for (const [text, wanted] of faults) {
    assert.throws(() => planOf(text), { name: 'UsageError', message: wanted });
  }
  assert.throws(() => readPlan('/no/study.yaml'), /^UsageError: study: \/no\/study\.yaml given/);
});

test("the study's own keys can be overridden", () => {
  const { study } = planOf(GOOD, ['seeds=[10, 11]', 'parallel=2']);
  assert.deepEqual([study.seeds, study.parallel], [[10, 11], 2]);
});

const ADDED_BY = ['logits-kd', 'minibatch-pixel', 'memory-pixel', 'cirkd'];
const RELATIONAL = ['logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;
const PAPER = { logits_kd: 1, minibatch_pixel: 1, memory_pixel: 0.1, memory_region: 0.1 };

for (const file of [
  'examples/study/streets.yaml',
  'recipes/studies/camvid-cpu.yaml',
  'recipes/studies/camvid-imagenet.yaml',
  'recipes/studies/camvid-scratch.yaml',
]) {
  test(`${file}: each variant of the ablation adds one term at the paper's weight`, () => {
    const { variants, study } = readPlan(file);
    assert.equal(study.baseline, 'labels');
    for (const { name, config, isTaught } of variants) {
      const added = ADDED_BY.indexOf(name);
      assert.equal(isTaught, name !== 'labels', name);
      if (added < 0) continue;
      for (const [place, term] of RELATIONAL.entries()) {
        const wanted = place <= added ? PAPER[term] : 0;
        assert.equal(config.loss.weights[term], wanted, `${name}: ${term}`);
      }
    }
    const ablation = variants.filter(({ name }) => ADDED_BY.includes(name));
    assert.ok(ablation.length >= 2, file);
  });
}

test('halving: the mean of four pixels, the label of the upper left one, no odd row or column', () => {
  const pixel = (value: number) => [value, value + 1, 0];
  const rgb = new Uint8Array([10, 20, 90, 30, 42, 90, 90, 90, 90].flatMap(pixel));
  const image = halfImage({ height: 3, width: 3, rgb });
  // (10 + 20 + 30 + 42) / 4 is 25.5
  assert.deepEqual(image, { height: 1, width: 1, rgb: new Uint8Array([26, 27, 0]) });
  const values = new Uint8Array([1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9, 5, 5, 5, 5]);
  const halved = halfLabels({ height: 4, width: 4, values });
  assert.deepEqual(halved, { height: 2, width: 2, values: new Uint8Array([1, 3, 6, 8]) });
});
