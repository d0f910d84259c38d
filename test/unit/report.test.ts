import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { decode, encode } from 'fast-png';
import type { Chart } from '../../src/report/charts/chart.js';
import { CHART_SIZE, renderChart, renderCharts } from '../../src/report/charts/render.js';
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

function chartOf(points: [number, number][], more: { logY?: boolean; smoothing?: number } = {}) {
  const series = [{ name: 'a', points }];
  return renderChart({ title: 't', xLabel: 'x', yLabel: 'y', series, ...more }, CHART_SIZE);
}

/** The unbroken stretches of each line, as points in pixels. */
function linesOf(svg: string): [number, number][][][] {
  return [...svg.matchAll(/<g clip-path[^>]*>\s*<path d="([^"]*)"/g)].map(([, d]) =>
    (d!.match(/M[^M]+/g) ?? []).map((stretch) =>
      stretch
        .slice(1)
        .split('L')
        .map((point): [number, number] => {
          const [x, y] = point.trim().split(' ').map(Number);
          return [x!, y!];
        }),
    ),
  );
}

const dotsOf = (svg: string) => svg.match(/transform="matrix[^>]*ecmeta_ssr_type="chart"/g) ?? [];
/** A page without the content of its scripts. */
const withoutScripts = (html: string) => html.replaceAll(/<script[\s\S]*?<\/script>/g, '');

test('both files are written and self-contained', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { html, png } = await writeReport(folder, report('plain'));
  assert.deepEqual(readdirSync(folder).sort(), ['report.html', 'report.png']);
  const text = withoutScripts(readFileSync(html, 'utf8'));
  for (const part of ['title plain', 'teacher plain', '71.2 %', 'chart plain', 'seed: 1 plain']) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(text.match(/<svg /g)?.length, 2);
  assert.equal(text.match(/src="data:image\/png;base64,/g)?.length, 4);
  // Nothing is fetched: the only addresses are namespace names.
  const addresses = text.match(/(https?:)?\/\/[a-z][^"'\s]*/g) ?? [];
  assert.deepEqual(
    [...new Set(addresses)],
    ['http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'],
  );
  const image = decode(readFileSync(png));
  assert.equal(image.width, 1800);
  assert.ok(image.height > 1000, String(image.height));
  // The pictures are there: their red pixels are drawn somewhere.
  const reds = new Set<number>();
  for (let i = 0; i < image.data.length; i += 4) {
    if (image.data[i + 1] === 0 && image.data[i + 2] === 0) reds.add(Number(image.data[i]));
  }
  for (const red of [200, 100, 50, 25]) assert.ok(reds.has(red), String(red));
});

test('text is drawn with bundled fonts', async (t) => {
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
  const page = readFileSync(html, 'utf8');
  assert.doesNotMatch(page, /<script>alert/);
  assert.equal(page.match(/<script/g)?.length, 3);
  const text = withoutScripts(page);
  const escaped =
    '&lt;/pre&gt;&lt;/svg&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;\uFFFD\uFFFD\uFFFD';
  assert.equal(escapeText(EVIL), escaped);
  // Title twice, table, pictures twice, details twice, the chart's name.
  assert.ok(text.split(escaped).length > 8, String(text.split(escaped).length));
  const data = report(EVIL);
  assert.doesNotMatch(reportSvg(data, await renderCharts(data.charts)), /<script/);
  // The renderer accepted it as well-formed XML.
  assert.equal(decode(readFileSync(png)).width, 1800);
});

test('a gap in the values is a gap in the line; few points are dots', () => {
  const counts = (svg: string) => linesOf(svg).map((line) => line.map(({ length }) => length));
  const gapped: [number, number][] = [
    [0, 1],
    [1, 2],
    [2, Number.NaN],
    [3, 2],
    [4, 3],
    [5, 4],
  ];
  assert.deepEqual(counts(chartOf(gapped)), [[2, 3]]);
  assert.equal(dotsOf(chartOf(gapped)).length, 5);
  const zero: [number, number][] = [
    [0, 1],
    [1, 2],
    [2, 0],
    [3, 10],
    [4, 20],
  ];
  assert.deepEqual(counts(chartOf(zero, { logY: true })), [[2, 2]]);
  assert.deepEqual(counts(chartOf(zero)), [[5]]);
  assert.equal(dotsOf(chartOf([[3, 1]])).length, 1);
  assert.match(chartOf([]), /no values/);
  assert.match(chartOf([[0, Number.NaN]]), /no values/);
  assert.doesNotMatch(chartOf([[3, 1]]), /no values/);
});

test('long curves are thinned without losing their peak; smoothing adds a mean', () => {
  const points = Array.from({ length: 5000 }, (_, i): [number, number] => [i, i === 1234 ? 9 : 1]);
  const [line] = linesOf(chartOf(points));
  assert.ok(line![0]!.length <= 500, String(line![0]!.length));
  const heights = line![0]!.map(([, y]) => y);
  assert.ok(Math.min(...heights) < Math.max(...heights) - 100, `heights ${heights}`);
  assert.equal(dotsOf(chartOf(points)).length, 0);
  const [raw, mean] = linesOf(chartOf(points.slice(1200, 1300), { smoothing: 5 }));
  const rise = (stretch: [number, number][]) =>
    Math.max(...stretch.map(([, y]) => y)) - Math.min(...stretch.map(([, y]) => y));
  // A peak of 8 over five points is 1.6.
  assert.ok(Math.abs(rise(raw![0]!) / rise(mean![0]!) - 5) < 0.05, `${rise(mean![0]!)}`);
});

/** The numbers of the y axis from the bottom, with their heights in pixels. */
function yTicks(svg: string): { label: string; y: number }[] {
  // They end at the axis.
  const words = svg.matchAll(/<text[^>]*"end"[^>]*translate\(\S+ ([\d.]+)\)[^>]*>([^<]*)/g);
  return [...words].map(([, y, label]) => ({ label: label!, y: Number(y) }));
}

const chartOfValues = (values: number[], more: { logY?: boolean } = {}) => {
  return chartOf(
    values.map((value, i) => [i, value]),
    more,
  );
};

test('linear axes: round numbers at equal distances, where the line has their values', () => {
  const labels = (values: number[]) => yTicks(chartOfValues(values)).map(({ label }) => label);
  assert.deepEqual(labels([0, 100]), ['0', '30', '60', '90', '120']);
  assert.deepEqual(labels([0.313, 0.562]), ['0.3', '0.35', '0.4', '0.45', '0.5', '0.55', '0.6']);
  assert.deepEqual(labels([-1, 1]), ['-1', '-0.5', '0', '0.5', '1']);
  assert.deepEqual(labels([0, 987]), ['0', '200', '400', '600', '800', '1,000']);
  const values = [0, 3, 6, 9, 12];
  const svg = chartOfValues(values);
  const ticks = yTicks(svg);
  assert.deepEqual(
    ticks.map(({ label }) => Number(label)),
    values,
  );
  const [[line]] = linesOf(svg) as [[[number, number][]]];
  const [bottom, top] = [ticks[0]!.y, ticks.at(-1)!.y];
  for (const [i, value] of values.entries()) {
    const wanted = bottom + (value / 12) * (top - bottom);
    // Coordinates of lines are rounded to tenths.
    assert.ok(Math.abs(ticks[i]!.y - wanted) < 0.01, `${value}: the tick is at ${ticks[i]!.y}`);
    assert.ok(Math.abs(line[i]![1] - wanted) < 0.06, `${value}: the line is at ${line[i]![1]}`);
  }
});

test('logarithmic axes: round numbers; powers of two over a narrow range, powers of ten over a wide one', () => {
  const labels = (values: number[]) =>
    yTicks(chartOfValues(values, { logY: true })).map(({ label }) => label);
  assert.deepEqual(labels([0.06, 0.9]), ['0.0625', '0.125', '0.25', '0.5']);
  assert.deepEqual(labels([0.002, 0.9]), ['0.01', '0.1']);
});

test('each series has one colour, its own if it has one', () => {
  const series = ['#123456', undefined, 'red', '"><script>'].map((color, i) => ({
    name: `s${i}`,
    ...(color === undefined ? {} : { color }),
    points: [
      [0, i],
      [1, i],
    ] as const,
  }));
  const svg = renderChart({ title: 't', xLabel: 'x', yLabel: 'y', series }, CHART_SIZE);
  const strokes = [...svg.matchAll(/<g clip-path[^>]*>\s*<path [^>]*stroke="([^"]*)"/g)];
  assert.deepEqual(
    strokes.map(([, stroke]) => stroke),
    ['#123456', '#D55E00', 'red', '#CC79A7'],
  );
});

test("the page's scripts are those allowed by its policy, and redraw the charts", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const data = report('</script>');
  const { html } = await writeReport(folder, data);
  const page = readFileSync(html, 'utf8');
  const scripts = [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
  assert.deepEqual(
    scripts.map(([, kind]) => kind),
    [' type="application/json" id="chart-options"', '', ''],
  );
  const [, options] = scripts[0]!.slice(1);
  const sources = scripts.slice(1).map(([, , source]) => source!);
  const hashes = sources.map((source) => createHash('sha256').update(source).digest('base64'));
  const policy = / script-src ([^"]*)"/.exec(page)?.[1];
  assert.equal(policy, hashes.map((hash) => `'sha256-${hash}'`).join(' '));

  // Runs them like a browser, apart from the drawing surface.
  const drawn: string[] = [];
  const figures = [0, 1].map(() => ({
    emptied: 0,
    replaceChildren() {
      this.emptied += 1;
    },
  }));
  const context = createContext({ setTimeout, clearTimeout });
  runInContext(sources[0]!, context);
  Object.assign(context, {
    document: {
      createElement: () => null,
      getElementById: (id: string) => (id === 'chart-options' ? { textContent: options } : null),
      querySelectorAll: (wanted: string) => (wanted === 'figure.chart' ? figures : []),
    },
    ResizeObserver: class {
      observe() {}
    },
  });
  const { init } = context['echarts'];
  context['echarts'].init = (figure: unknown) => {
    assert.ok(figures.includes(figure as (typeof figures)[number]), 'another element');
    const chart = init(null, null, { renderer: 'svg', ssr: true, ...CHART_SIZE });
    const { setOption } = chart;
    chart.setOption = (option: unknown) => {
      setOption.call(chart, option);
      drawn.push(chart.renderToSVGString());
      chart.dispose();
    };
    return chart;
  };
  runInContext(sources[1]!, context);
  assert.deepEqual(
    figures.map(({ emptied }) => emptied),
    [1, 1],
  );
  const expected = data.charts.map(
    (chart: Chart) => linesOf(renderChart(chart, CHART_SIZE))[0]!.length,
  );
  assert.deepEqual(
    drawn.map((svg) => linesOf(svg)[0]!.length),
    expected,
  );
  assert.match(drawn[0]!, /chart &lt;\/script&gt;/);
});

test('columns of figures are aligned right', () => {
  assert.ok(
    isNumeric([['71.2 %'], ['–'], ['1,234'], ['0.5 ± 0.1']], 0),
    'a number is taken for words',
  );
  assert.ok(!isNumeric([['1'], ['CIRKD']], 0), 'a word counts as a number');
  assert.ok(!isNumeric([['–']], 0), 'a dash alone counts as a number');
});
