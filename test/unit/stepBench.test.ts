/** The step's bench: its figures, its goals, when it refuses numbers, what it writes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { compareChecks } from '../../bench/step/agreement.js';
import { caseGroups, chooseCases, graphCase } from '../../bench/step/cases.js';
import { goalTable, partTable, STEP_PAGE, section } from '../../bench/step/page.js';
import type { Timing } from '../../bench/step/protocol.js';
import {
  type CaseResult,
  extraMiB,
  faster,
  pairedTotals,
  restOf,
  type SideResult,
  type StepResults,
} from '../../bench/step/results.js';
import { writePage } from '../../bench/support/bench.js';
import { withMarkedSection } from '../../services/program/markedSection.js';
import { quartiles } from '../../bench/support/statistics.js';

const CASES = caseGroups().flat();

const caseNamed = (name: string) => CASES.find((each) => each.name === name)!;

const wholeText = (results: StepResults) =>
  Object.values(STEP_PAGE.sections(results, 'plot.svg')).join('\n\n');
const writeDocument = (path: string, results: StepResults) =>
  writePage({ name: 'step', page: STEP_PAGE }, path, results);

const side = (rounds: Timing[], startMiB: number, peakMiB: number): SideResult => ({
  startKiB: 1024 * startMiB,
  peakKiB: 1024 * peakMiB,
  rounds,
});

const result = (name: string, cirkd: SideResult, torch: SideResult): CaseResult => ({
  case: caseNamed(name),
  agreement: [{ what: 'logits', worst: 2e-5, tolerance: 1e-3 }],
  sides: { cirkd, torch },
  profile: {
    ms: 100,
    rows: [{ op: 'Conv2D', calls: 21, ms: 60, share: 0.6, gigaflops: 150 }],
    rest: { ms: 40, share: 0.4 },
    machineGigaflops: 200,
  },
});

const network = result(
  'network-resnet18',
  side(
    [
      { pass: 90, update: 10 },
      { pass: 110, update: 10 },
    ],
    400,
    1000,
  ),
  side(
    [
      { pass: 120, update: 10 },
      { pass: 150, update: 10 },
    ],
    500,
    1700,
  ),
);
const whole = result(
  'whole-resnet18',
  side([{ step: 150 }, { step: 180 }], 400, 1600),
  side([{ step: 380 }, { step: 360 }], 500, 2000),
);

test('a repetition is the sum of its parts, and the rest is computed within a round', () => {
  assert.deepEqual(pairedTotals(network), { cirkd: [100, 120], torch: [130, 160] });
  assert.deepEqual(restOf(whole, network), { cirkd: [50, 60], torch: [250, 200] });
});

test('the ratio is that of the medians, its quartiles are those of the rounds', () => {
  // 225 / 55; rounds 5 and 3.33.
  const { ratio, quartiles: between } = faster(restOf(whole, network));
  assert.equal(ratio, 225 / 55);
  assert.deepEqual(
    between.map((value) => value.toFixed(3)),
    ['3.750', '4.583'],
  );
  assert.deepEqual(quartiles([4, 1, 2, 3, 5]), [2, 4]);
  assert.deepEqual(quartiles([7]), [7, 7]);
});

test('memory is the peak above the start of its own process', () => {
  assert.deepEqual([extraMiB(whole.sides.cirkd), extraMiB(whole.sides.torch)], [1200, 1500]);
});

test('goals are reported as reached or missed', () => {
  const rows = goalTable([
    network,
    whole,
    { ...whole, case: caseNamed('whole-resnet18-recompute') },
  ])
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const student = 'DeepLabV3-ResNet-18';
  assert.deepEqual(rows, [
    [`network step, ${student}: PyTorch's time / time`, '≥ 2', '1.32', '**no**'],
    [`whole step, ${student}: PyTorch's time / time`, '≥ 2.2', '2.24', 'yes'],
    [`rest of the step, ${student}: time / PyTorch's`, '≤ 0.3', '0.244', 'yes'],
    [`network step, ${student}: peak memory / PyTorch's`, '≤ 0.6', '0.500', 'yes'],
    [`whole step, ${student}: peak memory / PyTorch's`, '≤ 0.6', '0.800', '**no**'],
    [`whole step with recompute, ${student}: peak memory / PyTorch's`, '≤ 0.45', '0.800', '**no**'],
  ]);
});

test('parts of the network are listed without the whole step, the rest only with it', () => {
  assert.doesNotMatch(partTable([network]), /rest/);
  assert.match(partTable([network, whole]), /rest \(whole minus network\) \| 0\.0550/);
  assert.match(partTable([network]), /update \| 0\.0100 \(0\.0100–0\.0100\)/);
});

test('differing or incomplete checks, and NaN, end the bench', () => {
  const peer = { 'loss task': [2], logits: [4, 0.001], 'gradient norms': [1] };
  const distances = compareChecks('case', { ...peer, logits: [4, 0.002] }, peer);
  assert.deepEqual(
    distances.map(({ what, worst, tolerance }) => [what, worst.toFixed(5), tolerance]),
    [
      ['loss task', '0.00000', 1e-4],
      ['logits', '0.00025', 1e-3],
      ['gradient norms', '0.00000', 5e-3],
    ],
  );
  const refuses = (ours: Record<string, number[]>, what: RegExp) =>
    assert.throws(() => compareChecks('case', { ...peer, ...ours }, peer), what);
  refuses({ 'loss task': [2.001] }, /loss task is 2\.001… here and 2… in PyTorch/);
  refuses({ logits: [4, Number.NaN] }, /logits/);
  refuses({ logits: [4] }, /logits/);
  refuses({ aux: [1] }, /aux, gradient norms/);
});

test('cases are chosen by name and stay in their groups', () => {
  const chosen = chooseCases(caseGroups(), ['whole-mobilenetv2', 'teacher', 'network-mobilenetv2']);
  assert.deepEqual(
    chosen.map((group) => group.map(({ name }) => name)),
    [['teacher'], ['network-mobilenetv2', 'whole-mobilenetv2']],
  );
  assert.throws(
    () => chooseCases(caseGroups(), ['techer']),
    /techer given, wanted some of teacher,/,
  );
});

test('the section has each table and each profile, and goes between its markers', () => {
  const text = section({
    date: '2026-01-02T03:04:05.000Z',
    minutes: 18,
    machine: { processor: 'A processor', memoryGiB: 24, node: '20.0.0' },
    threads: 2,
    engines: { cirkd: 'TensorFlow 2', torch: 'PyTorch 2' },
    cases: [network, whole],
  });
  assert.match(text, /^2026-01-02 03:04 UTC, 18 minutes\. A processor, 2 cores, 24 GiB/);
  assert.match(text, /\n2 rounds, 2×256×512 pixels\./);
  assert.match(text, /\| Conv2D \| 21 \| 60 \| 60\.0 % \| 150 \| 75 % \|/);
  assert.match(text, /\| JavaScript and waiting \| {2}\| 40 \| 40\.0 % \|/);
  assert.match(text, /\| network-resnet18 \| logits \| 2\.0e-5 \| 0\.001 \|/);
  const page = 'a\n<!-- step: begin -->\nold\n<!-- step: end -->\nz\n';
  assert.equal(
    withMarkedSection(page, 'step', 'new', 'page.md'),
    'a\n<!-- step: begin -->\nnew\n<!-- step: end -->\nz\n',
  );
  assert.throws(() => withMarkedSection('a', 'step', 'new', 'page.md'), /page\.md has no/);
});

test('a teacher as a graph has its own section, which says which side is faster', async () => {
  const graphs = [
    {
      case: graphCase({ height: 256, width: 512, bankRows: { pixel: 1, region: 1 } }),
      agreement: [{ what: 'logits', worst: 2e-6, tolerance: 1e-3 }],
      own: side([{ forward: 2000 }, { forward: 2000 }], 400, 900),
      graph: side([{ forward: 1000 }, { forward: 1000 }], 400, 1100),
      runtime: 'onnxruntime 1 cpu',
    },
  ];
  const results = {
    ...{ date: '2026-11-30T08:00:00Z', minutes: 1, threads: 2, engines: {}, cases: [], graphs },
    machine: { processor: 'any', memoryGiB: 1, node: '20' },
  };
  const text = wholeText(results);
  assert.match(text, /2 rounds, 2×256×512 pixels/);
  assert.match(
    text,
    /by the medians the graph is faster, 2\.00 times, by the fastest rounds .*differ by 2\.0e-6/,
  );
  assert.doesNotMatch(text, /Goals of a step/);
  const page = join(mkdtempSync(join(tmpdir(), 'cirkd-page-')), 'page.md');
  writeFileSync(
    page,
    '<!-- step: begin -->\nkept\n<!-- step: end -->\n<!-- graph: begin -->\n<!-- graph: end -->\n',
  );
  await writeDocument(page, results);
  const written = readFileSync(page, 'utf8');
  rmSync(dirname(page), { recursive: true });
  assert.match(written, /kept\n[\s\S]*the graph is faster/);
});
