/**
 * An evaluation that several ranks share: its results are those of one process, and a rank that is stopped, lost or
 * has a broken file in the middle of it ends the run as it does between steps.
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { eventually } from '../support/eventually.js';
import { GroupRuns } from '../support/training/groupRuns.js';
import type { TrainedRun } from '../support/training/trainedRun.js';

const IMAGES = 21;
const STEPS = 2;
/** Two evaluations of some seconds each. */
const SETTINGS = [
  ...[`data.val.samples=${IMAGES}`, 'data.val.height=256', 'data.val.width=512'],
  ...[`train.steps=${STEPS}`, 'train.learningRate=0.02', 'run.evaluateEverySteps=1'],
  ...['run.checkpointEverySteps=1', 'evaluate.pictures=3', 'distributed.perMachine=2'],
];

let runs: GroupRuns;
let undisturbed: TrainedRun;

before(async () => {
  runs = await GroupRuns.open(1);
  undisturbed = await runs.train('undisturbed', ...SETTINGS, '--workers', '2');
});
afterEach(() => runs?.killAll());
after(() => runs?.close());

/** The files of the report's pictures, by name. */
function pictures({ path }: TrainedRun): ReadonlyMap<string, Buffer> {
  const folder = join(path, 'pictures');
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))]),
  );
}

const marked = ({ path }: TrainedRun) =>
  JSON.parse(readFileSync(join(path, 'checkpoints/best.json'), 'utf8')) as { step: number };

for (const ranks of [1, 4]) {
  test(`scores and pictures of 2 ranks are those of ${ranks}, bit for bit`, async () => {
    const id = `repeated${ranks}`;
    cpSync(undisturbed.path, runs.run(id).path, { recursive: true });
    const before = pictures(undisturbed);
    assert.ok(before.size > 9, `${[...before.keys()]}`);
    // A finished run that is resumed repeats its last evaluation. 21 images aren't a multiple of the ranks.
    const workers = ranks === 1 ? [] : ['--workers', `${ranks}`];
    const repeated = await runs.train(id, ...SETTINGS, '--resume', ...workers);
    assert.equal(repeated.timeless('evaluation').length, STEPS);
    assert.deepEqual(repeated.timeless('evaluation'), undisturbed.timeless('evaluation'));
    assert.deepEqual(pictures(repeated), before);
    assert.deepEqual(marked(repeated), marked(undisturbed));
  });
}

test('the best checkpoint is that of the highest mIoU', () => {
  const found = undisturbed.timeless('evaluation') as unknown as { step: number; miou: number }[];
  const best = found.toSorted((a, b) => b.miou - a.miou)[0]!;
  assert.notEqual(found[0]!.miou, found[1]!.miou);
  assert.equal(marked(undisturbed).step, best.step);
});

/** Waits until some images are evaluated, but not all. */
async function inEvaluation(rank: CirkdProcess): Promise<void> {
  const [, url = ''] = await rank.says(/"url":"([^"]+)"/);
  await rank.says(/step 1\/2 /);
  await eventually(async () => {
    const text = await (await fetch(url)).text();
    const ratio = Number(/^cirkd_student_evaluated_ratio\{rank="0"\} (.*)$/m.exec(text)?.[1]);
    return ratio > 0 && ratio < 0.6;
  }, 60_000);
}

for (const { what, hit, signal, codes } of [
  { what: 'rank 1 is killed', hit: 1, signal: 'SIGKILL', codes: [8, null] },
  { what: 'rank 1 is frozen', hit: 1, signal: 'SIGSTOP', codes: [8, null] },
  { what: 'rank 0 is killed', hit: 0, signal: 'SIGKILL', codes: [null, 8] },
  { what: 'rank 1 gets SIGTERM', hit: 1, signal: 'SIGTERM', codes: [143, 143] },
] as const) {
  test(`${what} during an evaluation: the other ends in time, and resumed the run is an undisturbed one`, async () => {
    const id = what.replaceAll(' ', '-');
    const ranks = await runs.ranks(id, 2, SETTINGS);
    await inEvaluation(ranks[0]!);
    const begin = performance.now();
    ranks[hit]!.signal(signal);
    const other = ranks[1 - hit]!;
    assert.equal(await other.exit(), codes[1 - hit], other.stderr);
    const ms = performance.now() - begin;
    // distributed.timeoutMs is 6000; rank 0 saves its state.
    assert.ok(ms < 6000 + 15_000, `${ms} ms`);
    if (signal === 'SIGSTOP') ranks[hit]!.kill();
    assert.equal(await ranks[hit]!.exit(), codes[hit], ranks[hit]!.stderr);
    if (codes[1 - hit] === 8) assert.match(other.stderr, new RegExp(`lost rank ${hit} `));
    assert.deepEqual(runs.run(id).timeless('evaluation'), []);
    const again = await runs.ranks(id, 2, [...SETTINGS, '--resume']);
    for (const rank of again) assert.equal(await rank.exit(), 0, rank.stderr);
    assert.deepEqual(runs.run(id).timeless('evaluation'), undisturbed.timeless('evaluation'));
    assert.deepEqual(runs.run(id).state(STEPS), undisturbed.state(STEPS));
  });
}

test('an image that takes longer than distributed.timeoutMs is no frozen rank', async () => {
  const timeoutMs = 2500;
  const long = ['data.val.samples=2', 'data.val.height=1536', 'data.val.width=3072'];
  const run = await runs.train(
    'long',
    ...[...SETTINGS, ...long, 'train.steps=1', `distributed.timeoutMs=${timeoutMs}`],
    ...['--workers', '2'],
  );
  const times = run.events() as unknown as { kind: string; time: string }[];
  const at = (kind: string) => Date.parse(times.find((event) => event.kind === kind)!.time);
  // One image on each rank.
  const ms = at('evaluation') - at('step');
  assert.ok(ms > timeoutMs, `the evaluation took ${ms} ms, too short to show anything`);
});

test('a broken file of one rank: it ends with 7 and names the file, the other with 8', async () => {
  const set = new CamvidFolder(join(undisturbed.path, 'camvid'));
  await set.add('train', ['a', 'b', 'c', 'd']);
  await set.add('val', ['e', 'f', 'g', 'h']);
  // Of four images, rank 1 has the second and the fourth.
  writeFileSync(set.imageFile('val', 'h'), 'no image');
  const data = JSON.stringify({ kind: 'camvid', root: set.root });
  const settings = [`data.train=${data}`, `data.val=${data}`, 'teacher.addresses=[]'];
  const ranks = await runs.ranks('broken', 2, [...settings, 'train.steps=1']);
  const [first, second] = ranks;
  assert.equal(await second!.exit(), 7, second!.stderr);
  assert.match(second!.stderr, /val\/h\.png/);
  assert.equal(await first!.exit(), 8, first!.stderr);
  assert.match(first!.stderr, /lost rank 1 /);
  assert.deepEqual(runs.run('broken').checkpoints(), [1]);
});
