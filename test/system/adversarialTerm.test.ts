/** SKD with its official weights, discriminator included, through a real teacher process. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { TaughtRuns } from '../support/training/taughtRuns.js';

const STEPS = 20;
/** The smallest crop for the discriminator, at stride 8. */
const CROP = 505;
const SKD = [
  ...['minibatch_pixel=0', 'memory_pixel=0', 'memory_region=0', 'logits_kd=1'],
  ...['skd_pairwise=10', 'skd_holistic=0.001'],
].map((weight) => `loss.weights.${weight}`);
const TERMS = ['task', 'logits_kd', 'skd_pairwise', 'skd_holistic', 'skd_discriminator', 'total'];

const SETTINGS = [
  ...SKD,
  ...[`data.crop.height=${CROP}`, `data.crop.width=${CROP}`, 'train.learningRate=0.001'],
];

let runs: TaughtRuns;

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

before(async () => {
  runs = await TaughtRuns.open(STEPS, SETTINGS);
});
afterEach(() => runs?.killStudents());
after(() => runs?.close());

for (const encoding of ['int8', 'fp16', 'fp32'] as const) {
  test(`${STEPS} steps, ${encoding}: both losses are finite and reported, the discriminator learns`, async () => {
    await runs.train(encoding, [`teacher.encoding=${encoding}`]);
    const steps = runs.terms(encoding);
    assert.equal(steps.length, STEPS);
    for (const step of steps) {
      assert.deepEqual(Object.keys(step), TERMS);
      for (const [term, value] of Object.entries(step)) {
        assert.ok(Number.isFinite(value), `${term}: ${value}`);
      }
    }
    const own = steps.map((step) => step['skd_discriminator']!);
    const [first, last] = [mean(own.slice(0, 5)), mean(own.slice(-5))];
    // 2 where it can't tell, at first.
    assert.ok(Math.abs(own[0]! - 2) < 0.3, `${own[0]}`);
    assert.ok(last < first - 0.05, `discriminator: ${first} at first, ${last} at last`);
    const report = runs.report(encoding);
    for (const term of TERMS) assert.ok(report.includes(term), `report: no ${term}`);
    assert.deepEqual(
      [...runs.finalState(encoding).keys()],
      ['discriminator', 'optimizer', 'student'].map((file) => `${file}.safetensors`),
    );
  });
}

test('kill -9 and --resume with a discriminator as WGAN-GP and AdamW: the same bytes', async () => {
  const settings = [
    ...['teacher.encoding=fp16', 'train.optimizer=adamw', 'train.learningRate=0.0002'],
    ...['loss.discriminator.kind=wgan-gp', 'loss.discriminator.polyPower=0.9'],
  ];
  await runs.train('undisturbed', settings);
  await runs.assertResumed('killed', 'undisturbed', settings);
  assert.equal(runs.finalTensors('killed', 'discriminator').size, 26 + 2 + 4);
  const moments = [...runs.finalTensors('killed', 'optimizer').keys()].filter((name) =>
    name.includes('.discriminator.'),
  );
  assert.equal(moments.length, 2 * 26);
});

test("a resumed run can't change how the discriminator is trained: exit 2, by name", async () => {
  const settings = ['teacher.encoding=fp16', 'loss.discriminator.learningRate=0.001'];
  const run = runs.student('fp16', settings, '--resume');
  assert.equal(await run.exit(), 2, run.stderr);
  assert.match(run.stderr, /loss\.discriminator\.learningRate: was 0\.0004, is 0\.001/);
});

test('a crop that is too small for it: exit 2, by name', async () => {
  const run = runs.student('small', ['data.crop.height=504']);
  assert.equal(await run.exit(), 2, run.stderr);
  assert.match(run.stderr, /data\.crop\.height: got 504, wanted at least 505/);
});
