/** `cirkd study` with real processes: killed and started again, failing runs, two at once, changed configs. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { decode } from 'fast-png';
import type { StudyRecord } from '../../src/report/study/studyRecord.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { eventually } from '../support/eventually.js';
import { processesThatMention } from '../support/processes.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const LAST_STEP = 7;
const RUNS = ['labels-seed0', 'cirkd-seed0', 'labels-seed1', 'cirkd-seed1'];
/** Of several processes with TensorFlow on a busy machine. */
const BUSY_MS = 240_000;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-study-'));
const running: CirkdProcess[] = [];
const labels = join(folder, 'labels.yaml');
let file: string;

before(() => {
  const teacher = tinyTeacher(folder);
  const base = tinyStudent(folder);
  writeFileSync(labels, 'teacher: {addresses: []}\n');
  file = join(folder, 'streets.yaml');
  writeFileSync(
    file,
    `base: [${base}]
set: [train.threads=1]
teacher: {checkpoint: ${teacher}}
seeds: [0, 1]
baseline: labels
variants:
  labels: {title: labels alone, files: [${labels}]}
  cirkd: {title: CIRKD}
evaluate: {everySteps: 2, pictures: 2}
parallel: 2
`,
  );
});
afterEach(() => {
  for (const process of running.splice(0)) process.kill();
});
after(() => rmSync(folder, { recursive: true }));

function study(out: string, ...more: string[]): CirkdProcess {
  const process = new CirkdProcess('study', file, '--out', join(folder, out), ...more);
  running.push(process);
  return process;
}

function recordOf(out: string): StudyRecord {
  return JSON.parse(readFileSync(join(folder, out, 'study.json'), 'utf8'));
}

/** What doesn't depend on the machine's speed. */
function resultsOf(out: string) {
  return recordOf(out)
    .runs.map(({ variant, seed, ...run }) => {
      const { seconds: _, ...rest } = { seconds: null, ...run };
      return { id: `${variant}-seed${seed}`, ...rest };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

const statesOf = (out: string) =>
  new Map(RUNS.map((id) => [id, new TrainedRun(join(folder, out), id).files(LAST_STEP)]));

test('two variants with two seeds: table, page, report, pictures, and no process left', async () => {
  const page = join(folder, 'page.md');
  writeFileSync(page, 'before\n<!-- streets: begin -->\nold\n<!-- streets: end -->\nafter\n');
  const whole = study('whole', '--markdown', page);
  assert.equal(await whole.exit(), 0, whole.stderr);
  assert.deepEqual(processesThatMention(folder), []);
  const { runs, variants } = recordOf('whole');
  assert.equal(runs.length, 4);
  assert.equal(variants['labels']?.teacherDigest, null);
  assert.match(variants['cirkd']?.teacherDigest ?? '', /^sha256:/);
  for (const run of runs) {
    assert.ok(run.state === 'finished', JSON.stringify(run));
    assert.deepEqual(
      run.evaluations.map(([step]) => step),
      [2, 4, 6, 7],
    );
    assert.equal(run.steps, LAST_STEP);
    assert.equal(run.teacherDigest === null, run.variant === 'labels');
  }
  assert.match(whole.stdout, /^CIRKD +\d+\.\d\d ± \d+\.\d\d +[+−\d.]+ ± [\d.]+ +\S+ to \S+ /m);
  assert.match(whole.stderr, /4 runs to do, 2 at once/);
  const text = readFileSync(page, 'utf8');
  assert.match(text, /^before\n<!-- streets: begin -->\n- CIRKD − labels alone: /);
  assert.match(text, /\| CIRKD \| .*\| 2 of 2 \|\n/);
  assert.match(text, /<!-- streets: end -->\nafter\n$/);
  const html = readFileSync(join(folder, 'whole', 'report.html'), 'utf8');
  assert.equal(html.match(/<img src="data:image\/png;base64,/g)?.length, 8, 'image, truth, 2 rows');
  assert.ok(html.includes('CIRKD − labels alone: '), 'no finding on the first screen');
  assert.ok(decode(readFileSync(join(folder, 'whole', 'report.png'))).height > 500, 'no picture');
});

test('killed with -9 and started again: the same results and weights, bit for bit', async () => {
  const first = study('killed');
  const taught = new TrainedRun(join(folder, 'killed'), 'cirkd-seed0');
  const isMidway = () => existsSync(taught.checkpointFile(2, 'manifest.json'));
  await eventually(() => isMidway() || first.exitCode !== undefined, BUSY_MS);
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null, first.stderr);
  // At once: the runs that it left may still be saving their state.
  const second = study('killed');
  await second.says(/runs to do/);
  const third = study('killed');
  assert.equal(await third.exit(), 2, third.stderr);
  assert.match(third.stderr, /killed: in use by process \d+/);
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(resultsOf('killed'), resultsOf('whole'));
  assert.deepEqual(statesOf('killed'), statesOf('whole'));
  assert.deepEqual(processesThatMention(folder), []);
});

test('a finished study trains nothing again, and a new seed is added to it', async () => {
  const log = join(folder, 'whole', 'cirkd-seed0.log');
  const before = statSync(log).size;
  const again = study('whole');
  assert.equal(await again.exit(), 0, again.stderr);
  assert.doesNotMatch(again.stderr, /runs to do|teacher ready/);
  assert.match(again.stdout, /^CIRKD .* 2 of 2$/m);
  const more = study('whole', '--set', 'seeds=[0, 1, 2]', '--report');
  assert.equal(await more.exit(), 0, more.stderr);
  assert.match(more.stderr, /not finished: 2 runs/);
  assert.match(more.stdout, /^CIRKD .* 2 of 3$/m);
  assert.equal(statSync(log).size, before);
});

test('results of other configs, files or studies are not mixed in: exit code 2, named', async () => {
  const report = '--report';
  const changed = study('whole', report, '--set', 'set=[train.threads=1, train.learningRate=0.5]');
  assert.equal(await changed.exit(), 2, changed.stderr);
  assert.match(
    changed.stderr,
    /its results would be mixed with others.*\n.*variants\.labels: train\.learningRate: was 0\.02, is 0\.5/,
  );
  const page = study('whole', report, '--markdown', join(folder, 'nowhere.md'));
  assert.equal(await page.exit(), 2, page.stderr);
  assert.match(page.stderr, /--markdown: .*nowhere\.md given, wanted a page that is there already/);
  const elsewhere = new CirkdProcess('study', file, '--out', folder);
  running.push(elsewhere);
  assert.equal(await elsewhere.exit(), 2, elsewhere.stderr);
  assert.match(elsewhere.stderr, /neither empty nor the folder of a study/);
  const missing = study('missing', '--set', 'teacher.checkpoint=no.safetensors');
  assert.equal(await missing.exit(), 2, missing.stderr);
  assert.match(missing.stderr, /teacher\.checkpoint: no\.safetensors given, wanted a file/);
  assert.ok(!existsSync(join(folder, 'missing')), 'a folder of a study that never began');
});

test('a failing run is listed and does not stop the others; the next call tries it again', async () => {
  const untaught = `files: [${labels}]`;
  const variants = `{labels: {${untaught}}, broken: {${untaught}, set: [train.learningRate=1e30]}}`;
  const broken = ['--set', `variants=${variants}`, '--set', 'seeds=[0]'];
  const first = study('failing', ...broken);
  assert.equal(await first.exit(), 6, first.stderr);
  const runs = Object.fromEntries(recordOf('failing').runs.map((run) => [run.variant, run]));
  assert.equal(runs['labels']?.state, 'finished');
  const failed = runs['broken'];
  assert.ok(failed?.state === 'failed', JSON.stringify(failed));
  assert.equal(failed.exitCode, 6);
  assert.match(failed.lastLines.join('\n'), /cirkd: .*(not finite|NaN|Infinity)/);
  assert.match(first.stdout, /^FAILED broken, seed 0: exit code 6: /m);
  assert.match(first.stdout, /^labels .* 1 of 1$/m);
  const html = readFileSync(join(folder, 'failing', 'report.html'), 'utf8');
  assert.ok(html.includes('Failed runs'), 'the report hides the failure');
  const again = study('failing', ...broken);
  assert.equal(await again.exit(), 6, again.stderr);
  assert.match(again.stderr, /1 run to do/);
});

test('SIGINT saves the state of the runs, and the next call goes on', async () => {
  const one = ['--set', `variants={labels: {files: [${labels}]}}`, '--set', 'seeds=[1]'];
  const first = study('stopped', ...one);
  const run = new TrainedRun(join(folder, 'stopped'), 'labels-seed1');
  await eventually(
    () => existsSync(run.checkpointFile(2, 'manifest.json')) || first.exitCode !== undefined,
    BUSY_MS,
  );
  first.signal('SIGINT');
  assert.equal(await first.exit(), 130, first.stderr);
  assert.match(first.stderr, /stopped by SIGINT; the same command goes on/);
  assert.deepEqual(processesThatMention(folder), []);
  const second = study('stopped', ...one);
  assert.equal(await second.exit(), 0, second.stderr);
  const whole = resultsOf('whole').filter(({ id }) => id === 'labels-seed1');
  assert.deepEqual(resultsOf('stopped'), whole);
});

/** A child process of the study whose command line has this word. */
function childOf({ child: { pid } }: CirkdProcess, command: string): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const found = children.find((one) =>
    readFileSync(`/proc/${one}/cmdline`, 'utf8').split('\0').includes(command),
  );
  assert.ok(found !== undefined, `${children}: none is a ${command}`);
  return Number(found);
}

test('a study whose only teacher dies ends, with its runs saved and no process left', async () => {
  const one = ['--set', 'variants={cirkd: {}}', '--set', 'baseline=cirkd', '--set', 'seeds=[0]'];
  const first = study('bereft', ...one);
  await first.says(/teacher ready/);
  process.kill(childOf(first, 'teacher'), 'SIGKILL');
  assert.equal(await first.exit(), 1, first.stderr);
  assert.match(first.stderr, /^lost 127\.0\.0\.1:\d+: the teacher ended with signal SIGKILL$/m);
  assert.match(first.stderr, /cirkd study: the teacher ended with signal SIGKILL; its last lines:/);
  assert.match(first.stderr, /the same command goes on$/m);
  assert.deepEqual(processesThatMention(folder), []);
  assert.deepEqual(recordOf('bereft').runs, []);
});
