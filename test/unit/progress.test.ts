import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createProgress } from '../../src/telemetry/progress.js';
import { durationText } from '../../src/telemetry/progressText.js';

const LOSSES = { task: 1.25, logits_kd: 0.5, total: 1.75 };

function fakeTerminal(columns: number) {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns });
  const read = () => String(terminal.read() ?? '');
  return { terminal, read };
}

const at = (step: number) => ({ step, images: 4, seconds: 2, teacherSeconds: 0.5, losses: LOSSES });

test('a terminal gets a bar of two lines, redrawn in place', () => {
  const { terminal, read } = fakeTerminal(120);
  let clock = 0;
  const progress = createProgress({
    stream: terminal,
    totalSteps: 100,
    everySteps: 10,
    now: () => clock,
  });
  progress.update(at(50));
  const first = read();
  assert.equal(
    first,
    `${'█'.repeat(15)}${'·'.repeat(15)} 50/100  2.00 images/s  waiting for teachers 25%  1m40s left\n` +
      '  task 1.2500  logits_kd 0.5000  total 1.7500\n',
  );
  progress.update(at(51));
  assert.equal(read(), '', 'not redrawn at once');
  clock = 1000;
  progress.update(at(52));
  const second = read();
  assert.ok(second.startsWith('\x1b[1A\x1b[2K\x1b[1A\x1b[2K\r'), JSON.stringify(second));
  assert.match(second, / 52\/100 /);
  progress.write('a log line\n');
  const log = read();
  assert.match(log, /\ra log line\n█+/);
  // The last step is always drawn, regardless of the clock, and done() keeps it.
  progress.update(at(100));
  assert.match(read(), / 100\/100 .* 0s left/);
  progress.done();
  progress.write('after\n');
  assert.equal(read(), 'after\n');
});

test('a rank of a group: the share of collectives beside that of the teachers', () => {
  const stream = new PassThrough();
  const progress = createProgress({ stream, totalSteps: 4, everySteps: 1 });
  progress.update({ ...at(1), collectiveSeconds: 0.2 });
  progress.update({ ...at(2), collectiveSeconds: 0.6 });
  const [first, second] = String(stream.read()).split('\n');
  assert.match(first!, /waiting for teachers 25% {2}in collectives 10% {2}6s left$/);
  assert.match(second!, /in collectives 20% /);
});

test('no line is wider than the terminal', () => {
  for (const columns of [1, 10, 40, 60, 80, 200]) {
    const { terminal, read } = fakeTerminal(columns);
    createProgress({ stream: terminal, totalSteps: 9, everySteps: 1 }).update(at(4));
    for (const line of read().split('\n')) assert.ok(line.length <= columns, `${columns}: ${line}`);
  }
});

test('elsewhere: plain lines at intervals and for the last step', () => {
  const stream = new PassThrough();
  const progress = createProgress({ stream, totalSteps: 25, everySteps: 10 });
  for (let step = 1; step <= 25; step++) progress.update(at(step));
  progress.write('a log line\n');
  const lines = String(stream.read()).split('\n');
  assert.deepEqual(
    lines.map((line) => line.split('  ')[0]),
    ['step 10/25', 'step 20/25', 'step 25/25', 'a log line', ''],
  );
  assert.equal(
    lines[0],
    'step 10/25  task 1.2500  logits_kd 0.5000  total 1.7500  2.00 images/s  waiting for teachers 25%  30s left',
  );
});

test('a broken stream does not end the run', async () => {
  const throwing = {
    isTTY: false,
    write: () => {
      throw new Error('gone');
    },
  };
  createProgress({ stream: throwing, totalSteps: 2, everySteps: 1 }).update(at(1));
  const stream = new PassThrough();
  const progress = createProgress({ stream, totalSteps: 2, everySteps: 1 });
  stream.destroy(new Error('EPIPE'));
  await new Promise((resolve) => stream.once('close', resolve));
  progress.update(at(1));
  progress.update({ ...at(2), losses: { task: Number.NaN }, seconds: 0 });
});

test('durations are formatted in hours, minutes and seconds', () => {
  const texts = [0, 59.4, 61, 3599, 3600, 11_100, Number.NaN].map(durationText);
  assert.deepEqual(texts, ['0s', '59s', '1m01s', '59m59s', '1h00m', '3h05m', '?']);
});
