/** What a study's tables, page and report say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chartOption } from '../../src/report/charts/options.js';
import { renderChart } from '../../src/report/charts/render.js';
import { studyMarkdown } from '../../src/report/study/studyMarkdown.js';
import type { FailedRun, FinishedRun, StudyResults } from '../../src/report/study/studyRecord.js';
import { studyReport } from '../../src/report/study/studyReport.js';
import {
  classTable,
  failureTable,
  findings,
  mainFinding,
  scoreTable,
  seedTable,
  timeTable,
} from '../../src/report/study/studyTables.js';

function run(variant: string, seed: number, miou: number, total = 100): FinishedRun {
  return {
    ...{ variant, seed, state: 'finished', miou, pixelAccuracy: 2 * miou },
    iou: { road: miou + 0.1, 'a|b': miou - 0.1, never: null },
    steps: 50,
    seconds: { total, data: total / 100, teacher: total / 4, compute: (74 * total) / 100 },
    evaluations: [
      [25, miou / 2],
      [50, miou],
    ],
    taskLoss: [[50, 1 + seed]],
    teacherDigest: null,
  };
}

const failure: FailedRun = {
  ...{ variant: 'c', seed: 0, state: 'failed', exitCode: 6, signal: null },
  lastLines: ['one', 'cirkd: the loss is not finite'],
};

const STUDY: StudyResults = {
  name: 'some',
  variants: [
    { name: 'a', title: 'labels' },
    { name: 'b', title: 'B' },
    { name: 'c', title: 'C' },
  ],
  baseline: 'a',
  seeds: [0, 1],
  // Also of a variant and a seed that the file has no more.
  runs: [
    ...[run('a', 1, 0.3), run('a', 0, 0.2, 50), run('b', 0, 0.23), run('b', 1, 0.32)],
    ...[run('c', 1, 0.29), failure, run('gone', 0, 0.9), run('a', 7, 0.9)],
  ],
};

test('scores: means and deviations, paired seed by seed, with interval and tests', () => {
  assert.deepEqual(scoreTable(STUDY).rows, [
    // sd of 20 and 30: 10 / sqrt(2)
    ['labels', '25.00 ± 7.07', 'baseline', '', '', '', '50.00 ± 14.14', '1500', '2 of 2'],
    // Differences 3 and 2: mean 2.5, sd 1 / sqrt(2), interval ± 12.7062 * 0.5, t = 5.
    [
      ...['B', '27.50 ± 6.36', '+2.50 ± 0.71', '−3.85 to +8.85', '0.1257', '0.5000'],
      ...['55.00 ± 12.73', '2000', '2 of 2'],
    ],
    ['C', '29.00', '−1.00', '', '', '', '58.00', '2000', '1 of 2'],
  ]);
});

test('every run, and which failed', () => {
  assert.deepEqual(seedTable(STUDY), {
    columns: ['mIoU, %', 'seed 0', 'seed 1'],
    rows: [
      ['labels', '20.00', '30.00'],
      ['B', '23.00', '32.00'],
      ['C', 'failed', '29.00'],
    ],
  });
  assert.deepEqual(failureTable(STUDY).rows, [
    ['C, seed 0', 'exit code 6', 'cirkd: the loss is not finite'],
  ]);
});

test('classes: a class that does not occur has no figure', () => {
  assert.deepEqual(classTable(STUDY).rows, [
    ['road', '35.00 ± 7.07', '37.50 ± 6.36 (+2.50)', '39.00 (−1.00)'],
    ['a|b', '15.00 ± 7.07', '17.50 ± 6.36 (+2.50)', '19.00 (−1.00)'],
    ['never', '', '', ''],
  ]);
});

test('time: the mean of the runs and shares of all their steps', () => {
  assert.deepEqual(timeTable(STUDY).rows[0], ['labels', '75', '1500', '1.00', '25.00']);
});

test('findings name the difference, its interval and the number of seeds', () => {
  assert.deepEqual(findings(STUDY), [
    'B − labels: +2.50 points of mIoU (95 % interval −3.85 to +8.85, p = 0.1257, 2 seeds)',
    'C − labels: −1.00 points of mIoU, one seed',
  ]);
  assert.equal(mainFinding(STUDY), findings(STUDY)[0]);
  const empty = { ...STUDY, runs: [] };
  assert.equal(findings(empty)[0], 'B: no seed finished yet in both');
  assert.equal(mainFinding(empty), '');
  assert.deepEqual(scoreTable(empty).rows[1], ['B', '', '', '', '', '', '', '', '0 of 2']);
});

test('the page has the findings and every table, with bars escaped', () => {
  const page = studyMarkdown(STUDY);
  assert.match(page, /^- B − labels: .*\n- C − labels: .*\n\n\|/);
  assert.match(page, /^\| a\\\|b \| 15\.00 ± 7\.07 \|/m);
  assert.match(page, /^\| failed run \| ended with \| last line \|$/m);
  const whole = { ...STUDY, runs: STUDY.runs.filter(({ state }) => state === 'finished') };
  assert.doesNotMatch(studyMarkdown(whole), /failed run/);
});

test('curves: the mean of the seeds with a band of one deviation to each side', () => {
  const { charts, subtitle, moreTables, details } = studyReport(STUDY, {
    pictures: null,
    details: [{ name: 'Config', text: 'x' }],
  });
  assert.equal(subtitle, mainFinding(STUDY));
  assert.deepEqual(
    moreTables?.map(({ title }) => title),
    ['Every run', 'Classes', 'Time', 'Failed runs'],
  );
  assert.deepEqual(details[0], {
    name: 'Last lines of c, seed 0',
    text: failure.lastLines.join('\n'),
  });
  const [scores, losses, classes] = charts;
  assert.ok(scores && scores.kind === undefined, 'no curves');
  const [labels] = scores.series;
  assert.deepEqual(labels?.points, [
    [25, 12.5],
    [50, 25],
  ]);
  const half = Math.sqrt(50) / 2;
  assert.deepEqual(
    labels?.band?.flat().map((value) => value.toFixed(6)),
    [25, 12.5 - half, 12.5 + half, 50, 25 - 2 * half, 25 + 2 * half].map((x) => x.toFixed(6)),
  );
  assert.ok(losses && losses.kind === undefined, 'no losses');
  assert.deepEqual(losses.series[0]!.points, [[50, 1.5]]);
  assert.ok(classes?.kind === 'bars' && classes.series[2]!.values[2] === null, 'a made-up class');
});

test('runs that were evaluated at other steps: only the common ones are in the mean', () => {
  const other = { ...run('a', 1, 0.3), evaluations: [[50, 0.3]] as [number, number][] };
  const runs = [run('a', 0, 0.2), other];
  const [chart] = studyReport({ ...STUDY, runs }, { pictures: null, details: [] }).charts;
  // A single point is no curve: the first chart is that of the loss.
  assert.match(chart!.title, /^Task loss/);
});

test('a band is drawn as an area between its edges, also below 0', () => {
  const chart = {
    ...{ title: 't', xLabel: 'x', yLabel: 'y' },
    series: [
      {
        name: 'one',
        points: [[1, 0] as const, [2, 1] as const],
        band: [[1, -1, 1] as const, [2, 0.5, 1.5] as const],
      },
    ],
  };
  const { series } = chartOption(chart) as { series: { data: number[][]; stack?: string }[] };
  assert.deepEqual(
    series.map(({ data }) => data),
    [
      [
        [1, -1],
        [2, 0.5],
      ],
      [
        [1, 2],
        [2, 1],
      ],
      [
        [1, 0],
        [2, 1],
      ],
    ],
  );
  assert.deepEqual(
    series.map(({ stack }) => stack),
    ['band 0', 'band 0', undefined],
  );
  assert.match(renderChart(chart, { width: 500, height: 300 }), /fill-opacity="0\.15"/);
});
