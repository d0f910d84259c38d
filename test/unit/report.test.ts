import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode, encode } from 'fast-png';
import { renderChart } from '../../src/report/charts/chart.js';
import { linearScale, logScale } from '../../src/report/charts/scale.js';
import { escapeText } from '../../src/report/markup.js';
import { reportSvg } from '../../src/report/png.js';
import type { ReportData } from '../../src/report/reportData.js';
import { isNumeric } from '../../src/report/table.js';
import { writeReport } from '../../src/report/writeReport.js';

const EVIL = `</pre></svg><script>alert("1")</script>'&\u0000\u001b\ud800`;

function plainPng(red: number) {
  const data = new Uint8Array(40 * 20 * 3);
  for (let i = 0; i < data.length; i += 3) data[i] = red;
  return { png: encode({ width: 40, height: 20, channels: 3, data }), width: 40, height: 20 };
}

function report(text: string): ReportData {
  const line = {
    name: `series ${text}`,
    points: [
      [0, 1],
      [1, 0.5],
      [2, Number.NaN],
      [3, 0.25],
    ] as const,
  };
  return {
    title: `title ${text}`,
    table: {
      columns: ['network', 'mIoU'],
      rows: [
        [`teacher ${text}`, '71.2 %'],
        ['CIRKD', '–'],
      ],
    },
    charts: [
      { title: `chart ${text}`, xLabel: `x ${text}`, yLabel: `y ${text}`, series: [line] },
      {
        title: 'log',
        xLabel: 'step',
        yLabel: 'loss',
        series: [{ ...line, color: text }],
        logY: true,
      },
    ],
    pictures: {
      title: `pictures ${text}`,
      rowLabels: [`image ${text}`, 'truth'],
      images: [
        [plainPng(200), plainPng(100)],
        [plainPng(50), plainPng(25)],
      ],
    },
    details: [{ name: `config ${text}`, text: `seed: 1 ${text}` }],
  };
}

const CHART_SIZE = { width: 560, height: 330 };

function chartOf(points: [number, number][], more: { logY?: boolean; smoothing?: number } = {}) {
  const series = [{ name: 'a', points }];
  return renderChart({ title: 't', xLabel: 'x', yLabel: 'y', series, ...more }, CHART_SIZE);
}

test('both files are written, whole in themselves', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { html, png } = await writeReport(folder, report('plain'));
  assert.deepEqual(readdirSync(folder).sort(), ['report.html', 'report.png']);
  const text = readFileSync(html, 'utf8');
  for (const part of ['title plain', 'teacher plain', '71.2 %', 'chart plain', 'seed: 1 plain']) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(text.match(/<svg /g)?.length, 2);
  assert.equal(text.match(/src="data:image\/png;base64,/g)?.length, 4);
  // Nothing to fetch: the only address is the name of a namespace.
  const addresses = text.match(/(https?:)?\/\/[a-z][^"'\s]*/g) ?? [];
  assert.deepEqual([...new Set(addresses)], ['http://www.w3.org/2000/svg']);
  const image = decode(readFileSync(png));
  assert.equal(image.width, 1800);
  assert.ok(image.height > 1000, String(image.height));
  // The pictures are there: their reds are drawn, somewhere.
  const reds = new Set<number>();
  for (let i = 0; i < image.data.length; i += 4) {
    if (image.data[i + 1] === 0 && image.data[i + 2] === 0) reds.add(Number(image.data[i]));
  }
  for (const red of [200, 100, 50, 25]) assert.ok(reds.has(red), String(red));
});

test('words are drawn, with fonts of our own', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bare = { ...report(''), charts: [], pictures: null, table: { columns: [], rows: [] } };
  const inkOf = async (title: string) => {
    const { png } = await writeReport(folder, { ...bare, title });
    const { data } = decode(readFileSync(png));
    return Array.from(data).filter((value) => value < 128).length;
  };
  assert.equal(await inkOf(''), 0);
  assert.ok((await inkOf('III')) > 100, 'III leaves no ink');
});

test('no text can become markup', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { html, png } = await writeReport(folder, report(EVIL));
  const text = readFileSync(html, 'utf8');
  assert.doesNotMatch(text, /<script/);
  const escaped =
    '&lt;/pre&gt;&lt;/svg&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;\uFFFD\uFFFD\uFFFD';
  assert.equal(escapeText(EVIL), escaped);
  // Title twice, table, chart title twice, axes, series twice, colour, pictures, details.
  assert.ok(text.split(escaped).length > 11, String(text.split(escaped).length));
  assert.doesNotMatch(reportSvg(report(EVIL)), /<script/);
  // The renderer took it as well-formed XML.
  assert.equal(decode(readFileSync(png)).width, 1800);
});

test('a gap in the values is a gap in the line; single points are dots', () => {
  const polylines = (svg: string) =>
    (svg.match(/<polyline points="[^"]*"/g) ?? []).map((line) => line.match(/,/g)?.length);
  const gapped: [number, number][] = [
    [0, 1],
    [1, 2],
    [2, Number.NaN],
    [3, 2],
    [4, 3],
    [5, 4],
  ];
  assert.deepEqual(polylines(chartOf(gapped)), [2, 3]);
  assert.deepEqual(
    polylines(
      chartOf(
        [
          [0, 1],
          [1, 0],
          [2, 10],
          [3, 20],
        ],
        { logY: true },
      ),
    ),
    [1, 2],
  );
  assert.equal(chartOf([[3, 1]]).match(/<circle/g)?.length, 1);
  assert.match(chartOf([]), /no values/);
  assert.match(chartOf([[0, Number.NaN]]), /no values/);
});

test('long curves are thinned without losing their peak; smoothing adds a mean', () => {
  const points = Array.from({ length: 5000 }, (_, i): [number, number] => [i, i === 1234 ? 9 : 1]);
  const svg = chartOf(points);
  const line = /<polyline points="([^"]*)"/.exec(svg)?.[1]?.split(' ') ?? [];
  assert.ok(line.length <= 500, String(line.length));
  const heights = line.map((point) => Number(point.split(',')[1]));
  assert.ok(Math.min(...heights) < Math.max(...heights) - 100, `heights ${heights}`);
  const smoothed = chartOf(points.slice(0, 100), { smoothing: 5 });
  assert.equal(smoothed.match(/<polyline/g)?.length, 2);
});

test('ticks are round and inside', () => {
  const labels = (values: number[]) => linearScale(values, 5, 0).ticks.map((tick) => tick.label);
  assert.deepEqual(labels([0, 100]), ['0', '20', '40', '60', '80', '100']);
  assert.deepEqual(labels([0.31, 0.56]), ['0.35', '0.40', '0.45', '0.50', '0.55']);
  assert.deepEqual(labels([-1, 1]), ['-1.0', '-0.5', '0', '0.5', '1.0']);
  assert.deepEqual(labels([0, 12]), ['0', '2.5', '5.0', '7.5', '10.0']);
  assert.deepEqual(labels([5, 5]), ['3', '4', '5', '6', '7']);
  assert.deepEqual(
    logScale([0.05, 3]).ticks.map((tick) => tick.label),
    ['0.05', '0.1', '0.2', '0.5', '1', '2'],
  );
  assert.deepEqual(
    logScale([1e-6, 1e-4]).ticks.map((tick) => tick.label),
    ['1e-6', '2e-6', '5e-6', '1e-5', '2e-5', '5e-5', '1e-4'],
  );
  const { position } = logScale([1, 100]);
  assert.equal(position(10), 0.5);
});

test('columns of figures stand to the right', () => {
  assert.ok(
    isNumeric([['71.2 %'], ['–'], ['1,234'], ['0.5 ± 0.1']], 0),
    'a number is taken for words',
  );
  assert.ok(!isNumeric([['1'], ['CIRKD']], 0), 'a word counts as a number');
  assert.ok(!isNumeric([['–']], 0), 'a dash alone counts as a number');
});
