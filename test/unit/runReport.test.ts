/** The reports of one run and of several, made from run folders. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encode } from 'fast-png';
import { CHART_SIZE, renderChart } from '../../src/report/charts/render.js';
import { compareReport } from '../../src/report/compareReport.js';
import { configDifferences } from '../../src/report/configDifferences.js';
import { loadPictures, savePictures } from '../../src/report/pictures.js';
import { runReport } from '../../src/report/runReport.js';
import { readReportSource } from '../../src/report/source.js';
import { writeReport } from '../../src/report/writeReport.js';
import { RunFolderError } from '../../src/run/runFolder.js';

const EVIL = '<img src=x onerror=alert(1)>"\'&';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-run-report-'));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Made {
  readonly mious?: readonly number[];
  readonly rate?: number;
  readonly classNames?: readonly string[];
  readonly isFinished?: boolean;
}

/** A run of two classes that was evaluated after every step; returns its path. */
function madeRun(
  name: string,
  { mious = [0.2, 0.4], rate = 0.1, classNames = ['road', 'car'], isFinished = true }: Made = {},
): string {
  const path = join(directory, name);
  mkdirSync(join(path, 'pictures'), { recursive: true });
  writeFileSync(
    join(path, 'config.yaml'),
    `seed: 3\ntrain: {learningRate: ${rate}, steps: 2}\ndata: {crop: [1, 2]}\nnote: ${JSON.stringify(classNames[0])}\n`,
  );
  const events = [
    {
      ...{ kind: 'start', step: 0, teacher: null, classNames, seed: 3 },
      environment: { cirkd: '0.1.0', commit: 'abc123', processor: `cpu ${classNames[0]}` },
    },
    ...mious.flatMap((miou, i) => [
      {
        ...{ kind: 'step', step: i + 1, learningRate: rate / (i + 1), samples: ['a', 'b'] },
        terms: { task: 2 / (i + 1), total: 3 / (i + 1) },
        seconds: { total: 4, data: 1, teacher: 0, compute: 2 },
      },
      { kind: 'evaluation', step: i + 1, miou, pixelAccuracy: 0.8, iou: [2 * miou, null] },
    ]),
    ...(isFinished ? [{ kind: 'end', step: mious.length }] : []),
  ];
  const lines = events.map((event) => `${JSON.stringify(event)}\n`);
  writeFileSync(join(path, 'events.jsonl'), lines.join(''));
  return path;
}

const pixel = (red: number) => ({
  png: encode({ width: 1, height: 1, channels: 3, data: Uint8Array.of(red, 0, 0) }),
  ...{ width: 1, height: 1 },
});

test('one run: scores of the last evaluation, the best one, every chart, environment', async () => {
  const data = runReport(await readReportSource(madeRun('one', { mious: [0.2, 0.45, 0.4] })));
  assert.equal(data.title, 'Run one');
  assert.equal(data.subtitle, '3 steps · seed 3 · labels alone');
  const cell = Object.fromEntries(data.table.rows.map(([name, value]) => [name, value]));
  assert.deepEqual(cell, {
    'mean IoU': '40.0 %',
    'pixel accuracy': '80.0 %',
    'best mean IoU': '45.0 %',
    'best at step': '2',
    'IoU road': '80.0 %',
    'IoU car': '–',
    'images per second': '0.5',
    'waiting for teachers': '0.0 %',
  });
  const titles = data.charts.map(({ title }) => title);
  assert.deepEqual(titles, [
    'Loss terms, unweighted, and their weighted total',
    'Mean IoU on val',
    'IoU of each class on val, last evaluation',
    'Learning rate',
    'Where the time of the steps went',
    'Time of a step',
  ]);
  const shares = data.charts[4]!;
  assert.ok(shares.kind === 'shares', titles[4]);
  // Of the 4 s per step, 1 s is for data, 2 s for computing and 1 s outside of the phases.
  assert.deepEqual(shares.rows, [
    { name: 'all steps', values: [3, 0, 6, 3], note: '4.00 s per step' },
  ]);
  assert.match(data.details[0]!.text, /commit +abc123/);
  assert.match(data.details[1]!.text, /learningRate: 0\.1/);
});

test('a run of several ranks: the time in collectives is a part of its own', async () => {
  const path = madeRun('ranks', { mious: [0.2] });
  const events = readFileSync(join(path, 'events.jsonl'), 'utf8');
  const seconds = '"compute":0.5,"collectives":1.5';
  writeFileSync(join(path, 'events.jsonl'), events.replace('"compute":2', seconds));
  const { charts } = runReport(await readReportSource(path));
  const shares = charts.find(({ title }) => title === 'Where the time of the steps went')!;
  assert.ok(shares.kind === 'shares');
  assert.deepEqual(shares.rows[0]!.values, [1, 0, 0.5, 1.5, 1]);
  assert.match(shares.parts[3]!, /collectives/);
  const lines = charts.find(({ title }) => title === 'Time of a step')!;
  assert.ok(lines.kind === undefined || lines.kind === 'lines');
  assert.deepEqual(lines.series[3]!.points, [[1, 1.5]]);
});

test('an interrupted run, and one that has only begun, are shown up to their last event', async () => {
  const cut = runReport(await readReportSource(madeRun('cut', { isFinished: false })));
  assert.equal(cut.subtitle, '2 steps, not finished · seed 3 · labels alone');
  const begun = madeRun('begun', { mious: [], isFinished: false });
  writeFileSync(join(begun, 'events.jsonl'), '{"kind":"start","step":0,"tea');
  const data = runReport(await readReportSource(begun));
  assert.equal(data.table.rows[0]?.[1], '–');
  const { html } = await writeReport(begun, data);
  assert.match(readFileSync(html, 'utf8'), /no values/);
});

test('a folder without a run is a RunFolderError that names it', async () => {
  const empty = join(directory, 'nothing-here');
  await assert.rejects(readReportSource(empty), (error: Error) => {
    assert.ok(error instanceof RunFolderError, error.name);
    assert.match(error.message, /nothing-here: contains no run/);
    return true;
  });
});

test('several runs: one column per run, differences to the first, curves in one chart', async () => {
  const paths = [madeRun('a', { rate: 0.1 }), madeRun('b', { rate: 0.2, mious: [0.3, 0.3725] })];
  const sources = await Promise.all(paths.map(readReportSource));
  const data = compareReport(sources);
  assert.deepEqual(data.table.columns, ['', 'a', 'b']);
  const rows = new Map(data.table.rows.map(([name, ...cells]) => [name, cells]));
  assert.deepEqual(rows.get('mean IoU'), ['40.0 %', '37.3 %']);
  assert.deepEqual(rows.get('mean IoU against a, points'), ['–', '−2.75']);
  assert.deepEqual(rows.get('IoU road'), ['80.0 %', '74.5 %']);
  const miou = data.charts[0]!;
  assert.ok(miou.kind === undefined, 'not a line chart');
  assert.deepEqual(
    miou.series.map(({ name, points }) => [name, points.length]),
    [
      ['a', 2],
      ['b', 2],
    ],
  );
  assert.deepEqual(data.charts.map(({ title }) => title).slice(2, 4), [
    'Loss: task',
    'Loss: weighted total',
  ]);
  assert.deepEqual(data.moreTables?.[0]?.table, {
    columns: ['key', 'a', 'b'],
    rows: [['train.learningRate', '0.1', '0.2']],
  });
});

test('a run keeps its colour in a chart of a term that the first one lacks', async () => {
  const plain = await readReportSource(madeRun('plain-terms'));
  const taught = await readReportSource(madeRun('taught-terms'));
  const steps = taught.steps.map((step) => ({ ...step, terms: { ...step.terms, logits_kd: 1 } }));
  const { charts } = compareReport([plain, { ...taught, steps }]);
  const lines = charts.flatMap((chart) => (chart.kind === undefined ? [chart] : []));
  const [kd] = lines.filter(({ title }) => title === 'Loss: logits_kd').map(({ series }) => series);
  const [total] = lines.filter(({ title }) => /total/.test(title)).map(({ series }) => series);
  assert.deepEqual(
    kd!.map(({ name }) => name),
    ['taught-terms'],
  );
  assert.equal(kd![0]!.color, total![1]!.color);
});

test('runs with the same name are numbered; IoUs of different classes are not compared', async () => {
  const one = await readReportSource(madeRun('x/same'));
  const other = await readReportSource(madeRun('y/same', { classNames: ['sky', 'tree'] }));
  const { table } = compareReport([one, other]);
  assert.deepEqual(table.columns, ['', 'same (1)', 'same (2)']);
  const road = table.rows.find(([name]) => name === 'IoU road');
  assert.deepEqual(road, ['IoU road', '80.0 %', '–']);
});

test('pictures: saved, read back, compared where the images are the same', async () => {
  const pictures = (student: number, image = 1) => ({
    title: 'val',
    legend: [{ name: 'road', color: '#804080' }],
    rowLabels: ['image', 'truth', 'student', 'errors'],
    images: [[pixel(image)], [pixel(2)], [pixel(student)], [pixel(4)]],
  });
  const paths = ['p1', 'p2', 'p3'].map((name) => madeRun(name));
  await savePictures(join(paths[0]!, 'pictures'), pictures(30));
  await savePictures(join(paths[1]!, 'pictures'), pictures(31));
  await savePictures(join(paths[2]!, 'pictures'), pictures(32, 9));
  assert.deepEqual(await loadPictures(join(paths[0]!, 'pictures')), pictures(30));
  const shown = compareReport(await Promise.all(paths.map(readReportSource))).pictures;
  assert.deepEqual(shown?.rowLabels, ['image', 'truth', 'p1', 'p2']);
  assert.deepEqual(shown?.images[3]?.[0]?.png, pixel(31).png);
  rmSync(join(paths[0]!, 'pictures', 'report-2-0.png'));
  assert.equal(await loadPictures(join(paths[0]!, 'pictures')), null);
  const index = join(paths[1]!, 'pictures', 'report.json');
  writeFileSync(index, readFileSync(index, 'utf8').replace('report-0-0.png', '../config.png'));
  assert.equal(await loadPictures(join(paths[1]!, 'pictures')), null);
});

test('names of classes, runs and values of configs stay text', async () => {
  const path = madeRun('evil', { classNames: [EVIL, 'car'] });
  const pictures = {
    title: EVIL,
    legend: [{ name: EVIL, color: `red"${EVIL}` }],
    ...{ rowLabels: [EVIL], images: [[pixel(1)]] },
  };
  await savePictures(join(path, 'pictures'), pictures);
  const evil = await readReportSource(path);
  const plain = await readReportSource(madeRun('plain', { classNames: [EVIL, 'car'], rate: 1 }));
  for (const data of [runReport(evil), compareReport([{ ...evil, id: EVIL }, plain])]) {
    const { html } = await writeReport(join(directory, 'evil'), data);
    const text = readFileSync(html, 'utf8');
    assert.doesNotMatch(text, /<img src=x/);
    assert.match(text, /&lt;img src=x onerror=alert\(1\)&gt;&quot;&#39;&amp;/);
  }
});

/** Rectangles of the data, in pixels. */
function barsOf(svg: string): { x: number; width: number; height: number }[] {
  const bar =
    /<path d="M([\d.]+) [\d.]+l([\d.]+) 0l0 (-?[\d.]+)l[^"]*"[^>]*ecmeta_ssr_type="chart"/g;
  return [...svg.matchAll(bar)].map(([, x, width, height]) => ({
    ...{ x: Number(x), width: Number(width), height: Math.abs(Number(height)) },
  }));
}

test('bars: one group per class, no bar without a value, heights in proportion', () => {
  const svg = renderChart(
    {
      kind: 'bars',
      ...{ title: 't', yLabel: 'IoU', categories: ['a', 'b'] },
      series: [
        { name: 'one', values: [10, 40] },
        { name: 'two', values: [null, 20] },
      ],
    },
    CHART_SIZE,
  );
  const bars = barsOf(svg);
  assert.equal(bars.length, 3);
  const [a, b, two] = bars.map(({ height }) => height);
  assert.ok(Math.abs(b! - 4 * a!) < 0.3, `${a} and ${b}`);
  assert.ok(Math.abs(two! - 2 * a!) < 0.2, `${a} and ${two}`);
  assert.ok(bars[2]!.x > bars[1]!.x, 'not beside each other');
});

test('shares: widths in proportion, percentages where there is room, empty rows left out', () => {
  const svg = renderChart(
    {
      kind: 'shares',
      ...{ title: 't', parts: ['p', 'q', 'r'] },
      rows: [
        { name: 'run', values: [3, 0.96, 0.04], note: '1 s' },
        { name: 'empty', values: [0, 0, 0], note: '0 s' },
      ],
    },
    CHART_SIZE,
  );
  const widths = barsOf(svg).map(({ width }) => width);
  assert.equal(widths.length, 3);
  assert.ok(Math.abs(widths[0]! / widths[1]! - 3 / 0.96) < 0.05, String(widths));
  assert.match(svg, />75 %</);
  assert.doesNotMatch(svg, />1 %</);
  assert.doesNotMatch(svg, /empty/);
});

test('config differences: nested keys by dots, a missing key is a dash, and invalid YAML has no keys', () => {
  const table = configDifferences([
    { name: 'a', text: 'x: {y: 1, z: [1, 2]}\nonly: true\n' },
    { name: 'b', text: 'x: {y: 2, z: [1, 2]}\n' },
  ]);
  assert.deepEqual(table.rows, [
    ['x.y', '1', '2'],
    ['only', 'true', '–'],
  ]);
  const broken = configDifferences([
    { name: 'a', text: 'x: 1' },
    { name: 'b', text: '{' },
  ]);
  assert.deepEqual(broken.rows, [['x', '1', '–']]);
});
